"""Judges what became of a sandbox that takes all there is. Pure."""

from typing import Any, Final

from worker.doctor.finding import Finding, failed, passed
from worker.doctor.trial import Tried

_MIB: Final = 1024 * 1024
_ADVICE: Final = "Enable the cgroup controllers in the kernel, and look at the engine's runtime."


def fork_bomb(tried: Tried, limit: int) -> Finding:
    """Judge that processes are capped; a runtime may also end the whole sandbox for it."""
    name = "sandbox-fork-bomb"
    try:
        seen = tried.seen("fork_bomb")
    except LookupError as error:
        return _ended(name, tried, str(error))
    if seen["refused"] and seen["born"] < limit:
        return passed(name, f"stopped at {seen['born'] + 1} of {limit} processes")
    return failed(name, f"{seen['born']} processes were born under a limit of {limit}", _ADVICE)


def memory_bomb(tried: Tried, limit_mb: int) -> Finding:
    """Judge that the memory is capped, and that its lack is told from other deaths."""
    name = "sandbox-memory-bomb"
    if tried.exit.oom_killed:
        return passed(name, f"killed at {limit_mb} MiB, and told as such")
    try:
        held = tried.seen("memory_bomb")["held_mb"]
    except LookupError as error:
        return failed(name, f"ended, but not for want of memory: {error}", _ADVICE)
    return failed(name, f"held {held} MiB under a limit of {limit_mb}", _ADVICE)


def tmpfs(seen: Any, limit_mb: int) -> Finding:  # Any: facts as the probe gives them
    """Judge that /tmp is capped, and that no program runs from it."""
    faults = [] if seen["refused"] == "ENOSPC" else [f"not full: {seen['refused'] or 'no error'}"]
    if seen["size"] > limit_mb * _MIB:
        faults.append(f"holds {seen['size'] // _MIB} MiB, not {limit_mb}")
    if seen["executed"] == "done":
        faults.append("a program ran from it")
    if faults:
        return failed("sandbox-tmpfs", f"/tmp: {'; '.join(faults)}", _ADVICE)
    return passed("sandbox-tmpfs", f"/tmp is full at {limit_mb} MiB, and runs no program")


def _ended(name: str, tried: Tried, reason: str) -> Finding:
    if tried.exit.error is None and tried.exit.stopped is None and tried.exit.exit_code:
        return passed(name, f"the whole sandbox was ended ({tried.ending()})")
    return failed(name, reason, _ADVICE)
