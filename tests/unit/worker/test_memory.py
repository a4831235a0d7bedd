"""What the kernel tells of a sandbox's memory, read from cgroup trees of both versions."""

import itertools
import os
import select
from pathlib import Path

import pytest

from worker.attempt.classify import MemoryFacts, lacked_memory
from worker.sandbox.memory import NoWatch, WatchV1, kills, watched

_ID = "5f" * 32
_PLACES = ("docker/" + _ID, f"system.slice/docker-{_ID}.scope")


def tree_v1(root: Path, place: str = _PLACES[0]) -> Path:
    """Make a container's cgroup as version 1 shows it; return its folder."""
    folder = root / "memory" / place
    folder.mkdir(parents=True)
    (folder / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 0\n")
    (folder / "cgroup.event_control").touch()
    return folder


def tree_v2(root: Path, place: str = _PLACES[1]) -> Path:
    """Make a container's cgroup as version 2 shows it; return its folder."""
    folder = root / place
    folder.mkdir(parents=True)
    (folder / "memory.events").write_text("low 0\nhigh 0\nmax 7\noom 0\noom_kill 0\n")
    return folder


def _signal(folder: Path, times: int = 1) -> None:
    """Signal as the kernel does: it adds to the eventfd that was registered."""
    event_fd, control_fd = (folder / "cgroup.event_control").read_text().split()
    assert Path("/proc/self/fd", control_fd).readlink() == folder / "memory.oom_control"
    os.eventfd_write(int(event_fd), times)


@pytest.mark.parametrize("place", _PLACES)
def test_a_signal_while_the_cgroup_is_there_is_lack_of_memory(tmp_path: Path, place: str) -> None:
    """Wherever the engine's driver puts the cgroup."""
    folder = tree_v1(tmp_path, place)
    with watched(_ID, tmp_path) as memory:
        assert not lacked_memory(engine=False, facts=memory.look())
        _signal(folder)
        assert lacked_memory(engine=False, facts=memory.look())
        assert memory.look() == MemoryFacts(signals_while_there=1, signals=1)


@pytest.mark.parametrize(("signals", "lacked"), [(0, False), (1, False), (2, True), (3, True)])
def test_of_the_signals_of_a_cgroup_that_is_gone_one_is_its_removals(
    signals: int, *, lacked: bool
) -> None:
    """They may be read at once or one by one."""
    # A folder cannot be read as a file, as little as a file of a cgroup that is gone.
    gone = os.open("/", os.O_RDONLY)
    at_once, one_by_one = (os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for _ in range(2))
    watches = [WatchV1(at_once, gone), WatchV1(one_by_one, gone)]
    try:
        if signals:
            os.eventfd_write(at_once, signals)
        for _ in range(signals):
            os.eventfd_write(one_by_one, 1)
            watches[1].look()
        for memory in watches:
            assert lacked_memory(engine=False, facts=memory.look()) == lacked
    finally:
        for descriptor in (gone, at_once, one_by_one):
            os.close(descriptor)


def test_a_signal_wakes_a_poll_once(tmp_path: Path) -> None:
    """What was looked at does not wake again."""
    folder = tree_v1(tmp_path)
    with watched(_ID, tmp_path) as memory:
        poll = select.poll()
        memory.register(poll)
        assert poll.poll(0) == []
        _signal(folder)
        assert len(poll.poll(0)) == 1
        memory.look()
        assert poll.poll(0) == []


@pytest.mark.parametrize("place", _PLACES)
def test_kills_are_counted_in_version_two(tmp_path: Path, place: str) -> None:
    """The limit that was only hit (`max`) is no lack of memory; a process that was killed is."""
    events = tree_v2(tmp_path, place) / "memory.events"
    with watched(_ID, tmp_path) as memory:
        assert not lacked_memory(engine=False, facts=memory.look())
        events.write_text("low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\noom_group_kill 0\n")
        assert lacked_memory(engine=False, facts=memory.look())


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (b"", 0),
        (b"oom 3\nmax 4\n", 0),
        (b"oom_kill 2\noom_group_kill 1\n", 3),
        (b"oom_kill\noom_kill x\noom_kill 1 2\noom_kill -1\n\xff\n", 0),
        (b"oom_kill 1", 1),
    ],
)
def test_only_counts_of_kills_are_counts(text: bytes, count: int) -> None:
    """Other lines, and what no kernel writes, count nothing."""
    assert kills(text) == count


def test_where_no_cgroup_is_in_sight_nothing_is_claimed(tmp_path: Path) -> None:
    """In a container of its own the worker has the engine's word alone."""
    with watched(_ID, tmp_path) as memory:
        poll = select.poll()
        memory.register(poll)
        assert isinstance(memory, NoWatch)
        assert memory.look() == MemoryFacts()
        assert poll.poll(0) == []


def test_a_cgroup_that_cannot_be_registered_with_costs_no_descriptor(tmp_path: Path) -> None:
    """As under systemd's ProtectControlGroups=, which shows it read-only."""
    (tree_v1(tmp_path) / "cgroup.event_control").unlink()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with watched(_ID, tmp_path) as memory:
        assert isinstance(memory, NoWatch)
    tree_v2(tmp_path)
    with watched(_ID, tmp_path):
        pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_whoever_says_so_is_believed() -> None:
    """Every combination of what engine and kernel say, with the rule written once more."""
    for there, signals, killed in itertools.product(range(4), repeat=3):
        facts = MemoryFacts(signals_while_there=there, signals=there + signals, kills=killed)
        assert lacked_memory(engine=False, facts=facts) == (there >= 1 or signals > 1 or killed > 0)
        assert lacked_memory(engine=True, facts=facts)
