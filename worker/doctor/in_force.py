"""Which settings the doctor examines: those that the running system has, where one runs."""

from typing import Final

from safeurl.adapters.files.running import Running, find_running
from safeurl.errors import ConfigError
from safeurl.in_force import differences, in_force
from safeurl.settings import Settings
from worker.doctor.finding import Finding, passed, warned

_NAME: Final = "settings"
#: Differences that the line shows.
_LISTED: Final = 6
_OTHERS: Final = (
    "Start the system again if this command's are the right ones, "
    "or run the doctor with the system's environment and `--env-file`."
)


def choose(own: Settings, source: str) -> tuple[Settings, Finding]:
    """Return the settings to examine, and a finding that says whose they are and what differs."""
    try:
        running = find_running(own.state_dir)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        return own, warned(
            _NAME,
            f"examined are this command's own, from {source}: something runs over "
            f"{own.state_dir}, and what it has written of its settings cannot be read: {why}",
            "Run the doctor as the user that runs the worker.",
        )
    if running is None:
        words = f"no worker runs over {own.state_dir}; examined are this command's, from {source}"
        return own, passed(_NAME, words)
    try:
        examined = in_force(own, running)
    except ConfigError as error:
        return own, warned(
            _NAME,
            f"examined are this command's own, from {source}: those of {who(running)} cannot be "
            f"used here: {' '.join(error.faults)}",
            "Run the doctor as the user that runs the worker.",
        )
    return examined, _compare(own, running)


def who(running: Running) -> str:
    """Return what runs, and where its settings are from."""
    source = running.file or "the environment alone, no file"
    return f"`safeurl {running.command}` (process {running.pid}), from {source}"


def _compare(own: Settings, running: Running) -> Finding:
    found = differences(own, running)
    words = f"examined are those of the running {who(running)}"
    if not found:
        return passed(_NAME, f"{words}; this command has the same")
    more = [f"and {len(found) - _LISTED} more"] if len(found) > _LISTED else []
    listed = "; ".join([*map(str, found[:_LISTED]), *more])
    return warned(_NAME, f"{words}; this command has others: {listed}", _OTHERS)
