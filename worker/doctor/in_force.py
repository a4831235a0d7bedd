"""Chooses the settings that the doctor checks: those of the running system, if one runs."""

from typing import Final

from safeurl.bootstrap import running_system
from safeurl.errors import ConfigError
from safeurl.in_force import differences, in_force
from safeurl.model.records.running import Running
from safeurl.settings import Settings
from worker.doctor.finding import Finding, passed, warned

_NAME: Final = "settings"
#: The number of differences that the line shows.
_LISTED: Final = 6
_OTHERS: Final = (
    "Restart the system if this command's are the right ones, "
    "or run the doctor with the system's environment and `--env-file`."
)


def choose_settings(own: Settings, source: str) -> tuple[Settings, Finding]:
    """Return the settings to check, and a finding that names their source and the differences."""
    try:
        running = running_system(own)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        return own, warned(
            _NAME,
            f"the checks use this command's own, from {source}: a process uses "
            f"{own.state_dir}, but its record of settings cannot be read: {why}",
            "Run the doctor as the user that runs the worker.",
        )
    if running is None:
        detail = f"no worker uses {own.state_dir}; the checks use this command's, from {source}"
        return own, passed(_NAME, detail)
    try:
        examined = in_force(own, running)
    except ConfigError as error:
        return own, warned(
            _NAME,
            f"the checks use this command's own, from {source}: those of {who(running)} cannot be "
            f"used here: {' '.join(error.faults)}",
            "Run the doctor as the user that runs the worker.",
        )
    return examined, _compare(own, running)


def who(running: Running) -> str:
    """Return the running command, and the source of its settings."""
    source = running.file or "the environment alone, no file"
    return f"`safeurl {running.command}` (process {running.pid}), from {source}"


def _compare(own: Settings, running: Running) -> Finding:
    found = differences(own, running)
    detail = f"the checks use those of the running {who(running)}"
    if not found:
        return passed(_NAME, f"{detail}; this command has the same")
    more = [f"and {len(found) - _LISTED} more"] if len(found) > _LISTED else []
    listed = "; ".join([*map(str, found[:_LISTED]), *more])
    return warned(_NAME, f"{detail}; this command has others: {listed}", _OTHERS)
