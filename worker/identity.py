"""Names for leases: who holds one, and whether that process is known to have ended."""

import hashlib
import os
import socket
from functools import cache
from pathlib import Path

#: Field 22 of proc_pid_stat(5), counted from the third.
_START_TIME = 19


def owner_name(pid: int) -> str:
    """Return `host/mark:pid`; the mark tells this boot and this container's processes apart."""
    return f"{socket.gethostname()}/{_mark()}:{pid}"


def process_name(pid: int) -> str:
    """Return the name of one process for ever: its id is given out again, its start is not."""
    return f"{owner_name(pid)}+{_after_name(pid)[_START_TIME]}"


def has_ended(owner: str | None) -> bool:
    """Tell whether the process of that name ran here and is gone; False wherever it is in doubt.

    A process id that was given out again shows where the name holds the start of its process, as
    `process_name` has it. Else the lease has to run out.
    """
    room, _, process = (owner or "").rpartition(":")
    pid, _, start = process.partition("+")
    if room != f"{socket.gethostname()}/{_mark()}" or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False  # somebody else's by now, or a worker of another user
    return _is_over(int(pid), start)


def _is_over(pid: int, start: str) -> bool:
    """Tell whether it is a zombie, or another one than that which started then."""
    try:
        fields = _after_name(pid)
    except OSError:
        return False
    return fields[0] in {"Z", "X"} or start not in {"", fields[_START_TIME]}


def _after_name(pid: int) -> list[str]:
    """Return the fields of proc_pid_stat(5) from the third on, the state."""
    status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    return status.rpartition(")")[2].split()


@cache
def _mark() -> str:
    """Return eight hex digits of this boot and this process namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    namespace = Path("/proc/self/ns/pid").readlink()
    return hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:8]
