"""Reads what the kernel counts of a sandbox's cgroup: lack of memory, most memory, CPU time.

The engine's own field (`State.OOMKilled`) depends on an event that is lost if the container's
cgroup is removed before the engine's shim reads it; under gVisor this is more frequent than under
runc (containerd issue 8893). So the worker watches the cgroup, starting before it sends the
request:

- cgroup v1: the kernel increments an eventfd at each lack of memory, before it kills, and once more
  when the cgroup is removed. The counter remains after the cgroup, so no increment is lost.
- cgroup v2: `memory.events` counts killed processes and wakes a poll at each change. The counter is
  removed with the cgroup, some milliseconds after the kill, which leaves time to read it.

The most memory and the CPU time are files of the cgroup too. A fetcher ends as soon as it has
reported, so they are read while its output comes, and what was read last counts.

A worker that cannot see the host's cgroups (in a container), or may not write to v1's
`cgroup.event_control` (systemd's ProtectControlGroups=), uses the engine's field alone.
"""

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from worker.attempt.classify import MemoryFacts

_ROOT: Final = Path("/sys/fs/cgroup")
#: The path of a container's cgroup with the engine's drivers cgroupfs and systemd.
_CGROUP_PATHS: Final = ("docker/{id}", "system.slice/docker-{id}.scope")
#: Longer than each file that is read.
_FILE_BYTES: Final = 4096
_KILLS: Final = frozenset({b"oom_kill", b"oom_group_kill"})
_NS_PER_MS: Final = 1_000_000
_US_PER_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Usage:
    """The resources that a sandbox has used since its start; None for an unknown one."""

    peak_memory_bytes: int | None = None
    cpu_ms: float | None = None

    def updated(self, later: "Usage") -> "Usage":
        """Return the known values with later ones; both numbers only increase."""
        peak, cpu_ms = later.peak_memory_bytes, later.cpu_ms
        return Usage(
            self.peak_memory_bytes if peak is None else peak,
            self.cpu_ms if cpu_ms is None else cpu_ms,
        )


class MemoryWatch(Protocol):
    """Collects the kernel's memory events of one cgroup; for one thread."""

    def register(self, poll: select.poll) -> None:
        """Register with `poll`, so that it wakes at a new event."""

    def read(self) -> MemoryFacts:
        """Return the facts so far; never blocks and never raises."""

    def usage(self) -> Usage:
        """Return what was used so far, or until the last call while the cgroup was there."""


class NoMemoryWatch:
    """Used if the cgroup cannot be watched."""

    def register(self, poll: select.poll) -> None:
        """Register nothing."""

    def read(self) -> MemoryFacts:
        """Return no facts."""
        return MemoryFacts()

    def usage(self) -> Usage:
        """Know nothing."""
        return Usage()


class MemoryWatchV1:
    """Watches an eventfd that is registered with `memory.oom_control` (cgroup v1)."""

    def __init__(self, event_fd: int, control_fd: int, folder: Path, cpu_folder: Path) -> None:
        """Take open descriptors, which the caller closes, and the cgroup in both hierarchies."""
        self._event_fd = event_fd
        self._control_fd = control_fd
        self._peak_path = folder / "memory.max_usage_in_bytes"
        self._cpu_path = cpu_folder / "cpuacct.usage"
        self._facts = MemoryFacts()
        self._usage = Usage()

    def register(self, poll: select.poll) -> None:
        """Wake at a signal; the next `read` consumes it."""
        poll.register(self._event_fd, select.POLLIN)

    def read(self) -> MemoryFacts:
        """Read the signals; while the cgroup exists, none of them means its removal."""
        with suppress(BlockingIOError):
            signals = os.eventfd_read(self._event_fd)
            exists = _read(self._control_fd) is not None
            self._facts = self._facts.signalled(signals, while_there=exists)
        return self._facts

    def usage(self) -> Usage:
        """Read the most memory (bytes) and the CPU time (nanoseconds)."""
        cpu_ms = _ms(_content(self._cpu_path), _NS_PER_MS)
        self._usage = self._usage.updated(Usage(_number(_content(self._peak_path)), cpu_ms))
        return self._usage


class MemoryWatchV2:
    """Reads `memory.events` at each change (cgroup v2)."""

    def __init__(self, events_fd: int, folder: Path) -> None:
        """Take an open descriptor, which the caller closes, and the folder of the cgroup."""
        self._events_fd = events_fd
        self._folder = folder
        self._usage = Usage()
        self._facts = MemoryFacts()
        self._exists = True

    def register(self, poll: select.poll) -> None:
        """Wake at a change; a removed file is not registered, since it would wake at once."""
        if self._exists:
            poll.register(self._events_fd, select.POLLPRI)

    def read(self) -> MemoryFacts:
        """Read the counter if it still exists."""
        text = _read(self._events_fd)
        if text is None:
            self._exists = False
        else:
            self._facts = MemoryFacts(kills=kills(text))
        return self._facts

    def usage(self) -> Usage:
        """Read the most memory (since Linux 5.19) and the CPU time (microseconds)."""
        peak = _number(_content(self._folder / "memory.peak"))
        fields = dict(_pairs(_content(self._folder / "cpu.stat")))
        cpu_ms = _ms(fields.get(b"usage_usec", b""), _US_PER_MS)
        self._usage = self._usage.updated(Usage(peak, cpu_ms))
        return self._usage


def kills(text: bytes) -> int:
    """Return the number of kills in `memory.events`; ignore malformed lines."""
    return sum(int(count) for name, count in _pairs(text) if name in _KILLS and count.isdigit())


def _pairs(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the first word and the rest of each line."""
    for line in text.splitlines():
        name, _, value = line.partition(b" ")
        yield name, value.strip()


def _number(text: bytes) -> int | None:
    return int(text) if text.strip().isdigit() else None


def _ms(text: bytes, per_ms: int) -> float | None:
    count = _number(text)
    return None if count is None else count / per_ms


def _content(path: Path) -> bytes:
    """Return the content of a file of a cgroup; nothing if there is no such file."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


@contextmanager
def watch_memory(container_id: str, root: Path = _ROOT) -> Iterator[MemoryWatch]:
    """Watch the cgroup of a started container, if that is possible on this host."""
    descriptors: list[int] = []
    try:
        yield _open(container_id, root, descriptors)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _open(container_id: str, root: Path, descriptors: list[int]) -> MemoryWatch:
    for path in _CGROUP_PATHS:
        folder = path.format(id=container_id)
        # If it does not exist or may not be written, the next one is tried.
        with suppress(OSError):
            return _open_v1(root / "memory" / folder, root / "cpuacct" / folder, descriptors)
        with suppress(OSError):
            events_fd = os.open(root / folder / "memory.events", os.O_RDONLY | os.O_CLOEXEC)
            descriptors.append(events_fd)
            return MemoryWatchV2(events_fd, root / folder)
    return NoMemoryWatch()


def _open_v1(folder: Path, cpu_folder: Path, descriptors: list[int]) -> MemoryWatchV1:
    control_fd = os.open(folder / "memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
    descriptors.append(control_fd)
    event_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    descriptors.append(event_fd)
    registry = os.open(folder / "cgroup.event_control", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(registry, f"{event_fd} {control_fd}".encode())
    finally:
        os.close(registry)
    return MemoryWatchV1(event_fd, control_fd, folder, cpu_folder)


def _read(descriptor: int) -> bytes | None:
    """Return the content of a cgroup file; None if the cgroup was removed."""
    try:
        return os.pread(descriptor, _FILE_BYTES, 0)
    except OSError:
        return None
