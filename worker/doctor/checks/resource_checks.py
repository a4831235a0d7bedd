"""Evaluates whether the resource limits of a sandbox hold. Pure."""

from typing import Final

from worker.doctor.finding import Finding, failed, finding_from_faults, passed
from worker.doctor.probe_runner import ProbeRun

_MIB: Final = 1024 * 1024
#: The exit status of a sandbox whose gVisor could start no more threads.
_GVISOR_ENDED: Final = 2
_ADVICE: Final = "Enable the cgroup controllers in the kernel, and check the engine's runtime."


def fork_bomb(run: ProbeRun, limit: int, *, gvisor: bool) -> Finding:
    """Check that processes are limited; gVisor ends the sandbox at this or the memory limit."""
    name = "sandbox-fork-bomb"
    if gvisor and run.exit.exit_code == _GVISOR_ENDED:
        return passed(name, f"gVisor ended the sandbox at its limit of {limit} processes")
    if gvisor and run.exit.oom_killed:
        return passed(name, f"gVisor ended the sandbox, out of memory before {limit} processes")
    try:
        facts = run.facts("fork_bomb")
    except LookupError as error:
        return failed(name, f"not tested: {error}", _ADVICE)
    if facts["refused"] and facts["forked"] < limit:
        return passed(name, f"stopped at {facts['forked'] + 1} of {limit} processes")
    return failed(name, f"{facts['forked']} processes were made under a limit of {limit}", _ADVICE)


def memory_bomb(run: ProbeRun, limit_mb: int) -> Finding:
    """Check that memory is limited, and that running out of it is reported as the cause."""
    name = "sandbox-memory-bomb"
    if run.exit.oom_killed:
        return passed(name, f"killed at {limit_mb} MiB, and reported as out of memory")
    try:
        held = run.facts("memory_bomb")["allocated_mb"]
    except LookupError as error:
        return failed(name, f"ended, but not because it ran out of memory: {error}", _ADVICE)
    return failed(name, f"held {held} MiB under a limit of {limit_mb}", _ADVICE)


def tmpfs(run: ProbeRun, limit_mb: int) -> Finding:
    """Check that /tmp is limited, and that no program runs from it."""
    name = "sandbox-tmpfs"
    try:
        facts = run.facts("tmpfs")
    except LookupError as error:
        return failed(name, f"not tested: {error}", _ADVICE)
    faults = [] if facts["refused"] == "ENOSPC" else [f"not full: {facts['refused'] or 'no error'}"]
    faults += ["a program ran from it"] if facts["executed"] == "done" else []
    if facts["size"] > limit_mb * _MIB:
        faults.append(f"it holds {facts['size'] // _MIB} MiB, not {limit_mb}")
    return finding_from_faults(
        name, faults, f"full at {limit_mb} MiB, and no program runs from it", _ADVICE
    )
