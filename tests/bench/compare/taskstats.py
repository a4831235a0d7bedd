"""CPU times of tasks that have ended, as the kernel tells them by netlink (taskstats).

The processes that start a container live for milliseconds, and nobody who could be asked waits for
them: so each ended task's own record is read. It needs root and a kernel with CONFIG_TASKSTATS; the
layout is that of <linux/taskstats.h>, and `open_taskstats` tries it on a process of its own.
"""

import errno
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_NETLINK_GENERIC = 16
_SO_RCVBUFFORCE = 33
#: Room for some ten thousand records, so that a busy moment loses none.
_BUFFER = 8 * 1024 * 1024
_HEADER = struct.Struct("=IHHIIBBH")
_ATTRIBUTE = struct.Struct("=HH")
#: <linux/genetlink.h> and <linux/taskstats.h>: families, commands, attributes.
_CONTROL, _GET_FAMILY, _FAMILY_ID, _FAMILY_NAME = 16, 3, 1, 2
_REQUEST, _GET, _REGISTER_CPUMASK = 1, 1, 3
_AGGREGATE_OF_PID, _STATS = 4, 3
#: The first version with the thread group and the executable.
_VERSION = 12
#: Offsets in `struct taskstats`: nanoseconds on a CPU, name, thread group, inode of the executable.
_RUN_NS, _COMM, _TGID, _EXE_INODE, _LEAST_SIZE = 72, 80, 368, 392, 400
_POLL_S = 0.2


@dataclass(frozen=True, slots=True)
class Ended:
    """One task (a thread) that has ended."""

    tgid: int
    comm: str
    exe_inode: int
    cpu_s: float


@dataclass(slots=True)
class TaskStats:
    """Collects the records of all tasks of the machine that end; `take` hands them over."""

    _socket: socket.socket
    _ended: list[Ended] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    #: Whether the kernel had to drop records.
    is_incomplete: bool = False
    _closing: bool = False

    def take(self) -> list[Ended]:
        """Return what has ended since the last call."""
        # What has ended is told at once, but read by a thread of ours.
        time.sleep(2 * _POLL_S)
        with self._lock:
            taken, self._ended = self._ended, []
        return taken

    def close(self) -> None:
        """End the thread that reads."""
        self._closing = True

    def read(self) -> None:
        """Read records until it is closed."""
        self._socket.settimeout(_POLL_S)
        while not self._closing:
            try:
                data = self._socket.recv(65_536)
            except TimeoutError:
                continue
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.is_incomplete = True
                continue
            found = list(parse(data))
            with self._lock:
                self._ended += found


@contextmanager
def open_taskstats() -> Iterator[TaskStats | None]:
    """Yield the running collector; None where the kernel or our rights do not allow it."""
    with _records() as made:
        if made is None:
            yield None
            return
        stats = TaskStats(made)
        thread = threading.Thread(target=stats.read, daemon=True)
        thread.start()
        try:
            yield stats if _is_right(stats) else None
        finally:
            stats.close()
            thread.join()


@contextmanager
def _records() -> Iterator[socket.socket | None]:
    """Yield a socket that the kernel sends records to, or None."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_GENERIC) as made:
        try:
            made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
            made.bind((0, 0))
            made.settimeout(1.0)
            family = _family(made)
            cpus = f"0-{(os.cpu_count() or 1) - 1}\0".encode()
            made.send(_message(family, _GET, _REGISTER_CPUMASK, cpus))
        except (OSError, LookupError):
            yield None
            return
        yield made


def _is_right(stats: TaskStats) -> bool:
    """Whether a process of ours is found with its name and executable."""
    with suppress(OSError):
        child = subprocess.Popen(["sleep", "0"])  # noqa: S607 - any program will do
        child.wait()
        return any(each.tgid == child.pid and each.comm == "sleep" for each in stats.take())
    return False


def _message(family: int, command: int, attribute: int, value: bytes) -> bytes:
    padded = value + bytes(-len(value) % 4)
    body = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), attribute) + padded
    head = _HEADER.pack(_HEADER.size + len(body), family, _REQUEST, 0, 0, command, 1, 0)
    return head + body


def _family(made: socket.socket) -> int:
    made.send(_message(_CONTROL, _GET_FAMILY, _FAMILY_NAME, b"TASKSTATS\0"))
    answer = made.recv(65_536)
    found = dict(_attributes(answer[_HEADER.size :]))
    if _FAMILY_ID not in found:
        raise LookupError("the kernel has no taskstats")
    (family,) = struct.unpack_from("=H", found[_FAMILY_ID])
    return int(family)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind & 0x3FFF, data[_ATTRIBUTE.size : length]
        data = data[length + -length % 4 :]


def parse(data: bytes) -> Iterator[Ended]:
    """Yield the ended tasks of one or more messages of the kernel."""
    while len(data) >= _HEADER.size:
        (length, *_) = _HEADER.unpack_from(data)
        for kind, value in _attributes(data[_HEADER.size : length]):
            if kind != _AGGREGATE_OF_PID:
                continue
            stats = dict(_attributes(value)).get(_STATS, b"")
            if len(stats) >= _LEAST_SIZE and struct.unpack_from("=H", stats)[0] >= _VERSION:
                yield _ended(stats)
        data = data[max(length, _HEADER.size) :]


def _ended(stats: bytes) -> Ended:
    (run_ns,) = struct.unpack_from("=Q", stats, _RUN_NS)
    (tgid,) = struct.unpack_from("=I", stats, _TGID)
    (inode,) = struct.unpack_from("=Q", stats, _EXE_INODE)
    comm = stats[_COMM : _COMM + 32].split(b"\0")[0].decode(errors="replace")
    return Ended(tgid, comm, inode, run_ns / 1e9)
