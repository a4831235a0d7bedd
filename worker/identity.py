"""Names of processes: who owns a lease, and whether that process is known to have ended."""

import hashlib
import os
import socket
from functools import cache
from pathlib import Path

#: Field 22 of proc_pid_stat(5), the time of the start, counted from the third field.
_START_TIME = 19


def owner_name(pid: int) -> str:
    """Return `host/namespace:pid`, which differs between boots and between containers."""
    return f"{socket.gethostname()}/{_namespace_id()}:{pid}"


def process_name(pid: int) -> str:
    """Return a name that no other process ever has: the owner's name and the time of the start.

    The kernel gives a process id to later processes too.
    """
    return f"{owner_name(pid)}+{_stat_fields(pid)[_START_TIME]}"


def has_ended(owner: str | None) -> bool:
    """Return True if the process of that name ran on this host and has ended, False if in doubt.

    A reused process id is recognised by the start time in a `process_name`. An `owner_name` has
    none: while another process has its id, the lease has to run out.
    """
    namespace, _, process = (owner or "").rpartition(":")
    pid, _, start = process.partition("+")
    if namespace != f"{socket.gethostname()}/{_namespace_id()}" or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False  # a process of another user has this id
    return _is_zombie_or_other(int(pid), start)


def _is_zombie_or_other(pid: int, start: str) -> bool:
    """Return True if the process is a zombie, or started at another time than `start`."""
    try:
        fields = _stat_fields(pid)
    except OSError:
        return False
    return fields[0] in {"Z", "X"} or start not in {"", fields[_START_TIME]}


def _stat_fields(pid: int) -> list[str]:
    """Return the fields of proc_pid_stat(5) after the name: from the third, the state, on."""
    status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return status.rpartition(")")[2].split()


@cache
def _namespace_id() -> str:
    """Return eight hex digits that identify this boot and this process namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    namespace = Path("/proc/self/ns/pid").readlink()
    return hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:8]
