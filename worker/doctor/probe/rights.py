"""Vectors: the identity of the sandbox's code, and attempts to gain more rights."""

import ctypes
import os
from pathlib import Path

from worker.doctor.probe.syscall_result import LIBC, Task, lines, result_of, syscall_result

_PTRACE_SEIZE = 0x4206
_MS_BIND = 4096
_SYSLOG_READ_ALL = 3
_LOG_BYTES = 65536
#: Process ids that are tried, though no such process is visible.
_UNSEEN = range(2, 64)
_TMP = b"/tmp"


def kernel(_task: Task) -> str:
    """Return `gvisor` if gVisor's kernel serves our calls, else `host`."""
    log = ctypes.create_string_buffer(_LOG_BYTES)
    LIBC.klogctl(_SYSLOG_READ_ALL, log, len(log))
    return "gvisor" if b"gVisor" in log.value else "host"


def identity(_task: Task) -> dict[str, list[str]]:
    """Return the user, the groups and the capabilities of this process."""
    pairs = [line.split(":", 1) for line in lines("/proc/self/status")]
    return {name: value.split() for name, value in pairs}


def processes(_task: Task) -> list[str]:
    """Return the other visible processes."""
    numbers = [path.name for path in Path("/proc").iterdir() if path.name.isdecimal()]
    others = [number for number in numbers if int(number) != os.getpid()]
    return [" ".join([number, *lines(f"/proc/{number}/comm")]) for number in others]


def ptrace(_task: Task) -> list[int]:
    """Return the other processes that could be traced."""
    return [pid for pid in _UNSEEN if LIBC.ptrace(_PTRACE_SEIZE, pid, None, None) == 0]


def mount(_task: Task) -> dict[str, str]:
    """Return the results of mount, umount and chroot calls."""
    return {
        "tmpfs": syscall_result(lambda: LIBC.mount(b"tmpfs", _TMP, b"tmpfs", 0, None)),
        "proc": syscall_result(lambda: LIBC.mount(b"proc", _TMP, b"proc", 0, None)),
        "bind": syscall_result(lambda: LIBC.mount(b"/", _TMP, None, _MS_BIND, None)),
        "umount": syscall_result(lambda: LIBC.umount2(_TMP, 0)),
        "chroot": result_of(lambda: os.chroot(_TMP)),
    }


VECTORS = {each.__name__: each for each in (kernel, identity, processes, ptrace, mount)}
