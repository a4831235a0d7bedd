"""Who the sandbox's code is, and what became of asking the kernel for more."""

import ctypes
import os
import platform
import socket
from collections.abc import Callable
from pathlib import Path

from worker.doctor.probe.word import LIBC, Task, called, lines, said

_PTRACE_SEIZE = 0x4206
_CLONE_NEWUSER = 0x10000000
_MS_BIND = 4096
_SYSLOG_READ_ALL = 3
_LOG_BYTES = 65536
#: Process ids that are tried though nothing is seen there.
_UNSEEN = range(2, 64)
#: Numbers of system calls that glibc has no name for, on the machines the image is built for.
_CALLS = {
    "x86_64": {"keyctl": 250, "add_key": 248, "bpf": 321, "perf_event_open": 298},
    "aarch64": {"keyctl": 219, "add_key": 217, "bpf": 280, "perf_event_open": 241},
}
_NEW = "/tmp/new"  # noqa: S108 - inside the sandbox


def kernel(_task: Task) -> str:
    """Return `gvisor` where its kernel answers us, and not the host's."""
    log = ctypes.create_string_buffer(_LOG_BYTES)
    LIBC.klogctl(_SYSLOG_READ_ALL, log, len(log))
    return "gvisor" if b"gVisor" in log.value else "host"


def identity(_task: Task) -> dict[str, list[str]]:
    """Return who we are and with which rights."""
    pairs = [line.split(":", 1) for line in lines("/proc/self/status")]
    return {name: value.split() for name, value in pairs}


def processes(_task: Task) -> list[str]:
    """Return the other processes in sight."""
    numbers = [path.name for path in Path("/proc").iterdir() if path.name.isdecimal()]
    others = [number for number in numbers if int(number) != os.getpid()]
    return [" ".join([number, *lines(f"/proc/{number}/comm")]) for number in others]


def ptrace(_task: Task) -> list[int]:
    """Return the processes besides this one that could be traced."""
    return [pid for pid in _UNSEEN if LIBC.ptrace(_PTRACE_SEIZE, pid, None, None) == 0]


def mount(_task: Task) -> dict[str, str]:
    """Return what became of mounting over and around the walls."""
    Path(_NEW).mkdir(exist_ok=True)
    new = _NEW.encode()
    return {
        "tmpfs": called(lambda: LIBC.mount(b"tmpfs", new, b"tmpfs", 0, None)),
        "proc": called(lambda: LIBC.mount(b"proc", new, b"proc", 0, None)),
        "bind": called(lambda: LIBC.mount(b"/", new, None, _MS_BIND, None)),
        "umount": called(lambda: LIBC.umount2(b"/tmp", 0)),
        "chroot": said(lambda: os.chroot(_NEW)),
    }


def syscalls(_task: Task) -> dict[str, str]:
    """Return what became of calls that the engine's filter refuses, or that need a right."""
    seen = {
        "unshare": _in_child(lambda: called(lambda: LIBC.unshare(_CLONE_NEWUSER))),
        "sethostname": said(lambda: socket.sethostname("doctor")),
        "setuid": said(lambda: os.setuid(0)),
        "raw_socket": said(_raw_socket),
    }
    for name, number in _CALLS.get(platform.machine(), {}).items():
        seen[name] = called(_numbered(number))
    return seen


def _numbered(number: int) -> Callable[[], int]:
    return lambda: int(LIBC.syscall(number, 0, 0, 0, 0, 0))


def _raw_socket() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


def _in_child(act: Callable[[], str]) -> str:
    """Run what would change this process for good, in a child."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(sink, act().encode())
        os._exit(0)
    os.close(sink)
    with os.fdopen(source) as answer:
        heard = answer.read()
    os.waitpid(child, 0)
    return heard


VECTORS = {each.__name__: each for each in (kernel, identity, processes, ptrace, mount, syscalls)}
