"""Vectors: system calls with a large attack surface, and writable executable memory."""

import ctypes
import mmap
import os
import platform
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from worker.doctor.probe.syscall_result import LIBC, Task, result_of, syscall_result

#: Calls that the fetcher never makes, each with its number on x86_64 and on aarch64; a dash if it
#: has none. Newer calls have the same number on both.
_TABLE = """
add_key 248 217, request_key 249 218, keyctl 250 219, bpf 321 280, perf_event_open 298 241,
userfaultfd 323 282, io_uring_setup 425 425, io_uring_enter 426 426, io_uring_register 427 427,
memfd_create 319 279, memfd_secret 447 447, kcmp 312 272, process_vm_readv 310 270,
process_vm_writev 311 271, pidfd_getfd 438 438, process_madvise 440 440, move_pages 279 239,
mbind 237 235, quotactl 179 60, setns 308 268, pivot_root 155 41, acct 163 89, open_tree 428 428,
move_mount 429 429, fsopen 430 430, fspick 433 433, mount_setattr 442 442,
open_by_handle_at 304 265, fanotify_init 300 262, init_module 175 105, finit_module 313 273,
kexec_load 246 104, modify_ldt 154 -, iopl 172 -, ioperm 173 -, shmget 29 194, semget 64 190,
msgget 68 186, mq_open 240 180, inotify_init1 294 26, timer_create 222 107,
remap_file_pages 216 234, vmsplice 278 75, splice 275 76, tee 276 77, swapon 167 224,
reboot 169 142, clone3 435 435, execveat 322 281, clone 56 220, mmap 9 222
"""
_NUMBERS = {name: tuple(rest) for name, *rest in (row.split() for row in _TABLE.split(","))}
#: These have an attempt of their own below, with arguments.
_NOT_PLAIN = {"execveat", "clone", "mmap", "memfd_create", "io_uring_setup"}
_COLUMN = {"x86_64": 0, "aarch64": 1}
_FAMILIES = range(46)
_VSOCK = 40
#: The kernel reads only the lower half of the argument, and so must the filter.
_HIGH_BIT = 1 << 32

_CLONE_NEWUSER = 0x10000000
_READ_IMPLIES_EXEC = 0x0400000
_AT_EMPTY_PATH = 0x1000
_TIOCSTI = 0x5412
_PTRACE_TRACEME = 0
_F_SETLK = 6
_RLIMIT_CORE = 4
_MAP_HUGETLB = 0x40000
#: The size of io_uring's parameters.
_RING_BYTES = 120
#: The size of a `struct flock`.
_LOCK_BYTES = 32
_X32 = 0x40000000
_GETPID = 39
_W, _X, _RWX = mmap.PROT_WRITE, mmap.PROT_EXEC, mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
_PAGE = mmap.PAGESIZE
_ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
#: `mov eax, 20; int 0x80; ret`: the 32-bit entry's getpid.
_INT_80 = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"


def system_calls(_task: Task) -> dict[str, str]:
    """Return the result of each attempt: `done`, the name of the errno, or of the signal."""
    plain = [name for name in _NUMBERS if name not in _NOT_PLAIN and _number(name) is not None]
    results = {name: syscall_result(_call_by_number(name)) for name in plain}
    for name, attempt in _ATTEMPTS.items():
        results[name] = _result_in_child(attempt)
    if _column() == 0:
        results["int_0x80"] = _result_in_child(_int_80)
        results["x32"] = _result_in_child(
            lambda: syscall_result(lambda: int(LIBC.syscall(_X32 | _GETPID)))
        )
    return {name: result for name, result in results.items() if result != "absent"}


def socket_families(_task: Task) -> dict[str, list[int]]:
    """Return the socket families that can be opened, without and with a high bit set."""
    return {
        "plain": [family for family in _FAMILIES if _opens(family)],
        "high_bit": [family for family in _FAMILIES if _opens(family | _HIGH_BIT)],
    }


def _opens(family: int) -> bool:
    types = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET)
    for kind in types:
        made = LIBC.syscall(_socket_number(), ctypes.c_ulong(family), kind, 0)
        if made >= 0:
            os.close(made)
            return True
    return False


def _socket_number() -> int:
    return (41, 198)[_column()]


def _column() -> int:
    return _COLUMN[platform.machine()]


def _number(name: str) -> int | None:
    number = _NUMBERS[name][_column()]
    return int(number) if number != "-" else None


def _call_by_number(name: str, *arguments: int | bytes) -> Callable[[], int]:
    given = [*arguments, *[0] * (6 - len(arguments))]
    return lambda: int(LIBC.syscall(_number(name), *map(_c_argument, given)))


def _c_argument(value: int | bytes) -> object:
    return ctypes.c_ulong(value) if isinstance(value, int) else value


def _unshare() -> str:
    return syscall_result(lambda: int(LIBC.unshare(_CLONE_NEWUSER)))


def _clone_newuser() -> str:
    clone = _call_by_number("clone", _CLONE_NEWUSER | signal.SIGCHLD)

    def cloned() -> int:
        made = clone()
        if made == 0:
            # The child process has nothing to do.
            os._exit(0)
        return made

    return syscall_result(cloned)


def _execveat() -> str:
    program = os.open(sys.executable, os.O_RDONLY)
    words = (ctypes.c_char_p * 4)(b"python3", b"-c", b"0", None)
    call = LIBC.syscall
    return syscall_result(
        lambda: int(call(_number("execveat"), program, b"", words, None, _AT_EMPTY_PATH))
    )


def _memfd() -> str:
    """Run a program that exists only in memory."""
    made = LIBC.syscall(_number("memfd_create"), b"x", 0)
    if made < 0:
        return syscall_result(_call_by_number("memfd_create", b"x"))
    os.write(made, f"#!{sys.executable}\n".encode())
    return result_of(lambda: os.execv(f"/proc/self/fd/{made}", ["x"]))  # noqa: S606 - that is what is tried


def _mapped(protection: int, flags: int, file: int = -1) -> int:
    """Return the address of the mapped memory, or a negative number."""
    return int(_MMAP(None, _PAGE, protection, flags, file, 0) or 0)


def _remapped(first: int, then: int) -> str:
    where = _mapped(first, _ANONYMOUS)
    if where < 0:
        return "failed"
    return syscall_result(lambda: int(LIBC.mprotect(ctypes.c_void_p(where), _PAGE, then)))


def _pkey_mprotect() -> str:
    where = _mapped(_W, _ANONYMOUS)
    return syscall_result(lambda: int(LIBC.pkey_mprotect(ctypes.c_void_p(where), _PAGE, _RWX, -1)))


def _wx_file() -> str:
    """Map a program's file as private memory that is writable and executable."""
    with _opened_program() as file:
        return syscall_result(lambda: _mapped(_RWX, mmap.MAP_PRIVATE, file))


@contextmanager
def _opened_program() -> Iterator[int]:
    file = os.open(sys.executable, os.O_RDONLY)
    try:
        yield file
    finally:
        os.close(file)


def _tiocsti() -> str:
    return syscall_result(lambda: int(LIBC.ioctl(0, ctypes.c_ulong(_TIOCSTI), b"x")))


def _int_80() -> str:
    """Make a call by the 32-bit entry, with code written over a function of the C library."""
    function = LIBC.l64a
    where = ctypes.cast(function, ctypes.c_void_p).value or 0
    try:
        with open("/proc/self/mem", "r+b", buffering=0) as memory:  # noqa: PTH123 - no buffer between
            memory.seek(where)
            memory.write(_INT_80)
    except OSError:
        return "absent"
    # A kernel without this entry ends the process with a signal.
    return "done" if function(0) > 0 else "ENOSYS"


def _vsock(family: int) -> str:
    return syscall_result(lambda: int(LIBC.syscall(_socket_number(), ctypes.c_ulong(family), 1, 0)))


_MMAP = LIBC.mmap
_MMAP.restype = ctypes.c_long
_MMAP.argtypes = (
    *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int),
    ctypes.c_long,
)

#: Each runs in its own child process, because it may end or change the process.
_ATTEMPTS: dict[str, Callable[[], str]] = {
    "unshare": _unshare,
    "clone_newuser": _clone_newuser,
    "execveat": _execveat,
    "memfd": _memfd,
    "io_uring_setup": lambda: syscall_result(
        _call_by_number("io_uring_setup", 8, bytes(_RING_BYTES))
    ),
    "personality": lambda: syscall_result(lambda: int(LIBC.personality(_READ_IMPLIES_EXEC))),
    "ptrace": lambda: syscall_result(lambda: int(LIBC.ptrace(_PTRACE_TRACEME, 0, None, None))),
    "tiocsti": _tiocsti,
    "lock": lambda: syscall_result(lambda: int(LIBC.fcntl(0, _F_SETLK, bytes(_LOCK_BYTES)))),
    "core_limit": lambda: syscall_result(
        lambda: int(LIBC.prlimit(0, _RLIMIT_CORE, bytes(16), None))
    ),
    "sethostname": lambda: result_of(lambda: socket.sethostname("doctor")),
    "setuid": lambda: result_of(lambda: os.setuid(0)),
    "vsock": lambda: _vsock(_VSOCK),
    "vsock_high_bit": lambda: _vsock(_VSOCK | _HIGH_BIT),
    "mmap_wx": lambda: syscall_result(lambda: _mapped(_RWX, _ANONYMOUS)),
    "mmap_wx_file": _wx_file,
    "mmap_huge": lambda: syscall_result(lambda: _mapped(_W, _ANONYMOUS | _MAP_HUGETLB)),
    "mmap_anonymous_x": lambda: syscall_result(lambda: _mapped(_X, _ANONYMOUS)),
    "mprotect_wx": lambda: _remapped(_W, _RWX),
    "mprotect_w_to_x": lambda: _remapped(_W, _X),
    "pkey_mprotect_wx": _pkey_mprotect,
}


def _result_in_child(attempt: Callable[[], str]) -> str:
    """Run an attempt in a child process; `done` includes a program that replaced it."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(sink, attempt().encode())
        os._exit(0)
    os.close(sink)
    with os.fdopen(source) as answer:
        result = answer.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return result or ("done" if status == 0 else "failed")


VECTORS = {each.__name__: each for each in (system_calls, socket_families)}
