"""Whether a sandbox lacked memory, as the kernel itself tells it while the sandbox runs.

The engine's own word (`State.OOMKilled`) comes by an event that is dropped where the container's
cgroup has gone before the engine's shim looks, under gVisor more often than under runc (containerd
issue 8893). So the worker watches the cgroup, from before the request goes in:

- cgroup v1: the kernel adds one to an eventfd of ours at each lack of memory, before it kills, and
  one more once the cgroup is removed. The count outlives the cgroup, so none is lost.
- cgroup v2: `memory.events` counts processes killed, and wakes us at a change. The count goes with
  the cgroup; the removal comes some milliseconds after the kill, which leaves time to read it.

A worker that does not see the host's cgroups (in a container), or may not write to v1's
`cgroup.event_control` (systemd's ProtectControlGroups=), has the engine's word alone.
"""

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

from worker.attempt.classify import MemoryFacts

_ROOT: Final = Path("/sys/fs/cgroup")
#: Where engines put a container's cgroup, by their driver: cgroupfs and systemd.
_PLACES: Final = ("docker/{id}", "system.slice/docker-{id}.scope")
#: More than the longest of the files read.
_FILE_BYTES: Final = 4096
_KILLS: Final = frozenset({b"oom_kill", b"oom_group_kill"})


class MemoryWatch(Protocol):
    """Collects what the kernel tells of one cgroup; for one thread."""

    def register(self, poll: select.poll) -> None:
        """Have `poll` wake when there may be news."""

    def look(self) -> MemoryFacts:
        """Return all that is known by now; blocks never, and raises nothing."""


class NoWatch:
    """Stands where the cgroup cannot be watched."""

    def register(self, poll: select.poll) -> None:
        """Register nothing."""

    def look(self) -> MemoryFacts:
        """Know nothing."""
        return MemoryFacts()


class WatchV1:
    """Watches by an eventfd that is registered with `memory.oom_control`."""

    def __init__(self, event_fd: int, control_fd: int) -> None:
        """Take open descriptors; closing them stays the caller's."""
        self._event_fd = event_fd
        self._control_fd = control_fd
        self._facts = MemoryFacts()

    def register(self, poll: select.poll) -> None:
        """Wake at a signal; the next look takes it."""
        poll.register(self._event_fd, select.POLLIN)

    def look(self) -> MemoryFacts:
        """Take the signals there are; while the cgroup is there, none of them is its removal's."""
        with suppress(BlockingIOError):
            signals = os.eventfd_read(self._event_fd)
            there = _read(self._control_fd) is not None
            self._facts = self._facts.signalled(signals, while_there=there)
        return self._facts


class WatchV2:
    """Watches by reading `memory.events` at each change."""

    def __init__(self, events_fd: int) -> None:
        """Take an open descriptor; closing it stays the caller's."""
        self._events_fd = events_fd
        self._facts = MemoryFacts()
        self._is_there = True

    def register(self, poll: select.poll) -> None:
        """Wake at a change; a file that is gone would wake for ever."""
        if self._is_there:
            poll.register(self._events_fd, select.POLLPRI)

    def look(self) -> MemoryFacts:
        """Read the count if it is still there."""
        text = _read(self._events_fd)
        if text is None:
            self._is_there = False
        else:
            self._facts = MemoryFacts(kills=kills(text))
        return self._facts


def kills(text: bytes) -> int:
    """Return how many kills `memory.events` counts; what does not read as a count is none."""
    pairs = (line.split() for line in text.splitlines())
    return sum(
        int(pair[1])
        for pair in pairs
        if len(pair) == 2 and pair[0] in _KILLS and pair[1].isdigit()  # noqa: PLR2004 - name, count
    )


@contextmanager
def watched(container_id: str, root: Path = _ROOT) -> Iterator[MemoryWatch]:
    """Watch the cgroup of a container that has started, where that is possible here."""
    descriptors: list[int] = []
    try:
        yield _open(container_id, root, descriptors)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _open(container_id: str, root: Path, descriptors: list[int]) -> MemoryWatch:
    for place in _PLACES:
        folder = place.format(id=container_id)
        # Where it is not, or not ours to write, another place or the engine's word has to do.
        with suppress(OSError):
            return _open_v1(root / "memory" / folder, descriptors)
        with suppress(OSError):
            events_fd = os.open(root / folder / "memory.events", os.O_RDONLY | os.O_CLOEXEC)
            descriptors.append(events_fd)
            return WatchV2(events_fd)
    return NoWatch()


def _open_v1(folder: Path, descriptors: list[int]) -> WatchV1:
    control_fd = os.open(folder / "memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
    descriptors.append(control_fd)
    event_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    descriptors.append(event_fd)
    registry = os.open(folder / "cgroup.event_control", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(registry, f"{event_fd} {control_fd}".encode())
    finally:
        os.close(registry)
    return WatchV1(event_fd, control_fd)


def _read(descriptor: int) -> bytes | None:
    """Return a cgroup file's text; None once the cgroup is gone."""
    try:
        return os.pread(descriptor, _FILE_BYTES, 0)
    except OSError:
        return None
