"""Judges what became of a sandbox that takes all there is. Pure."""

from typing import Final

from worker.doctor.finding import Finding, failed, passed, ruled
from worker.doctor.probe_runner import Tried

_MIB: Final = 1024 * 1024
#: The status of a sandbox whose gVisor could start no thread any more.
_GVISOR_DIED: Final = 2
_ADVICE: Final = "Enable the cgroup controllers in the kernel, and look at the engine's runtime."


def fork_bomb(tried: Tried, limit: int, *, gvisor: bool) -> Finding:
    """Judge that processes are capped; gVisor ends the whole sandbox at that cap or memory's."""
    name = "sandbox-fork-bomb"
    if gvisor and tried.exit.exit_code == _GVISOR_DIED:
        return passed(name, f"gVisor ended the sandbox at its limit of {limit} processes")
    if gvisor and tried.exit.oom_killed:
        return passed(name, f"gVisor ended the sandbox, out of memory before {limit} processes")
    try:
        seen = tried.seen("fork_bomb")
    except LookupError as error:
        return failed(name, f"not tried: {error}", _ADVICE)
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


def tmpfs(tried: Tried, limit_mb: int) -> Finding:
    """Judge that /tmp is capped, and that no program runs from it."""
    name = "sandbox-tmpfs"
    try:
        seen = tried.seen("tmpfs")
    except LookupError as error:
        return failed(name, f"not tried: {error}", _ADVICE)
    faults = [] if seen["refused"] == "ENOSPC" else [f"not full: {seen['refused'] or 'no error'}"]
    faults += ["a program ran from it"] if seen["executed"] == "done" else []
    if seen["size"] > limit_mb * _MIB:
        faults.append(f"it holds {seen['size'] // _MIB} MiB, not {limit_mb}")
    return ruled(name, faults, f"full at {limit_mb} MiB, and no program runs from it", _ADVICE)
