"""Facts about processes: whose they are, their CPU time and their memory."""

import os
import resource
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_RUNTIMES = ("containerd-shim-runc-v2", "containerd-shim-runsc-v1", "runc", "runsc")
_SHIMS = "containerd-shim"
#: The folders in which distributions keep them in addition to users' PATH.
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/libexec"))


@dataclass(frozen=True, slots=True)
class EngineProcesses:
    """The processes of one engine that live as long as it does, and the programs it runs."""

    #: dockerd and containerd.
    pids: frozenset[int]
    #: By the inode of the executable: those of the engine itself, and those of its runtimes.
    engine_inodes: frozenset[int]
    runtime_inodes: frozenset[int]


def find_engine(pidfile: Path = Path("/var/run/docker.pid")) -> EngineProcesses | None:
    """Return the processes of the engine of this machine; None if they cannot be seen."""
    try:
        dockerd = psutil.Process(int(pidfile.read_text()))
        pids = {dockerd.pid} | {each.pid for each in _containerd(dockerd)}
        engine = {Path(f"/proc/{pid}/exe").stat().st_ino for pid in pids}
    except (OSError, ValueError, psutil.Error):
        return None
    found = [shutil.which(name, path=_PATH) for name in _RUNTIMES]
    runtimes = {Path(each).resolve().stat().st_ino for each in found if each}
    return EngineProcesses(frozenset(pids), frozenset(engine), frozenset(runtimes))


def _containerd(dockerd: psutil.Process) -> list[psutil.Process]:
    own = [each for each in dockerd.children() if each.name() == "containerd"]
    # Where a service manager starts it, it is no child of dockerd's.
    others = (each for each in psutil.process_iter(["name", "ppid"]) if each.info["ppid"] == 1)
    return own or [each for each in others if each.info["name"] == "containerd"]


def cpu_of(pids: Iterable[int]) -> float:
    """Return the CPU seconds of these processes, without those of their children."""
    total = 0.0
    for pid in pids:
        with suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system
    return total


def shims() -> dict[int, psutil.Process]:
    """Return the shims that live, by their ids."""
    found = {}
    for each in psutil.process_iter(["name"]):
        if (each.info["name"] or "").startswith(_SHIMS):
            found[each.pid] = each
    return found


def tree(pids: Iterable[int]) -> list[psutil.Process]:
    """Return these processes and all that descend from them."""
    found = []
    for pid in pids:
        with suppress(psutil.Error):
            root = psutil.Process(pid)
            found += [root, *root.children(recursive=True)]
    return found


def cpu_of_tree(pids: Iterable[int]) -> float:
    """Return the CPU seconds of the trees, also of members that have ended."""
    total = 0.0
    for each in tree(pids):
        with suppress(psutil.Error):
            times = each.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def cpu_of_children() -> float:
    """Return the CPU seconds of the children of this process that it has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def pss_bytes(processes: Iterable[psutil.Process]) -> int:
    """Return their proportional set size: memory that several share is divided between them."""
    total = 0
    for each in processes:
        with suppress(OSError, StopIteration):
            lines = Path(f"/proc/{each.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
            line = next(line for line in lines if line.startswith("Pss:"))
            total += int(line.split()[1]) * 1024
    return total


def with_sandboxes(
    roots: Callable[[], Iterable[int]], known: frozenset[int]
) -> list[psutil.Process]:
    """Return the trees, and every shim that was not known before with its container."""
    new = [pid for pid in shims() if pid not in known]
    return tree([*roots(), *new])
