"""The kernel's memory events of a sandbox, read from cgroup trees of both versions."""

import itertools
import os
import select
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.attempt.classify import MemoryFacts, lacked_memory
from worker.sandbox.memory import MemoryWatchV1, NoMemoryWatch, Usage, kills, watch_memory

_ID = "5f" * 32
_CGROUP_PATHS = ("docker/" + _ID, f"system.slice/docker-{_ID}.scope")


def tree_v1(root: Path, place: str = _CGROUP_PATHS[0]) -> Path:
    """Make a container's cgroup as in version 1; return its folder."""
    folder = root / "memory" / place
    folder.mkdir(parents=True)
    (root / "cpuacct" / place).mkdir(parents=True)
    (root / "cpuacct" / place / "cpuacct.usage").write_text("123456789\n")
    (folder / "memory.max_usage_in_bytes").write_text("17039360\n")
    (folder / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 0\n")
    (folder / "cgroup.event_control").touch()
    return folder


def tree_v2(root: Path, place: str = _CGROUP_PATHS[1]) -> Path:
    """Make a container's cgroup as in version 2; return its folder."""
    folder = root / place
    folder.mkdir(parents=True)
    (folder / "memory.events").write_text("low 0\nhigh 0\nmax 7\noom 0\noom_kill 0\n")
    (folder / "memory.peak").write_text("17039360\n")
    (folder / "cpu.stat").write_text("usage_usec 123456\nuser_usec 100000\nsystem_usec 23456\n")
    return folder


def _signal(folder: Path, times: int = 1) -> None:
    """Signal like the kernel: increment the registered eventfd."""
    event_fd, control_fd = (folder / "cgroup.event_control").read_text().split()
    assert Path("/proc/self/fd", control_fd).readlink() == folder / "memory.oom_control"
    os.eventfd_write(int(event_fd), times)


@pytest.mark.parametrize("place", _CGROUP_PATHS)
def test_a_signal_while_the_cgroup_is_there_is_lack_of_memory(tmp_path: Path, place: str) -> None:
    """The cgroup is found for each driver of the engine."""
    folder = tree_v1(tmp_path, place)
    with watch_memory(_ID, tmp_path) as memory:
        assert not lacked_memory(engine=False, facts=memory.read())
        _signal(folder)
        assert lacked_memory(engine=False, facts=memory.read())
        assert memory.read() == MemoryFacts(signals_while_there=1, signals=1)


@pytest.mark.parametrize(("signals", "lacked"), [(0, False), (1, False), (2, True), (3, True)])
def test_of_the_signals_of_a_cgroup_that_is_gone_one_is_its_removals(
    signals: int, *, lacked: bool
) -> None:
    """The signals may be read at once or one by one."""
    # A folder cannot be read as a file, just like a file of a removed cgroup.
    gone = os.open("/", os.O_RDONLY)
    at_once, one_by_one = (os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK) for _ in range(2))
    nowhere = Path("/nonexistent")
    watches = [MemoryWatchV1(each, gone, nowhere, nowhere) for each in (at_once, one_by_one)]
    try:
        if signals:
            os.eventfd_write(at_once, signals)
        for _ in range(signals):
            os.eventfd_write(one_by_one, 1)
            watches[1].read()
        for memory in watches:
            assert lacked_memory(engine=False, facts=memory.read()) == lacked
    finally:
        for descriptor in (gone, at_once, one_by_one):
            os.close(descriptor)


def test_a_signal_wakes_a_poll_once(tmp_path: Path) -> None:
    """A signal that was read does not wake the poll again."""
    folder = tree_v1(tmp_path)
    with watch_memory(_ID, tmp_path) as memory:
        poll = select.poll()
        memory.register(poll)
        assert poll.poll(0) == []
        _signal(folder)
        assert len(poll.poll(0)) == 1
        memory.read()
        assert poll.poll(0) == []


@pytest.mark.parametrize("place", _CGROUP_PATHS)
def test_kills_are_counted_in_version_two(tmp_path: Path, place: str) -> None:
    """To reach the limit (`max`) is not a lack of memory; a killed process is."""
    events = tree_v2(tmp_path, place) / "memory.events"
    with watch_memory(_ID, tmp_path) as memory:
        assert not lacked_memory(engine=False, facts=memory.read())
        events.write_text("low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\noom_group_kill 0\n")
        assert lacked_memory(engine=False, facts=memory.read())


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
    """Other lines, and malformed ones, count nothing."""
    assert kills(text) == count


@pytest.mark.parametrize("place", _CGROUP_PATHS)
@pytest.mark.parametrize(
    ("tree", "cpu_ms"), [(tree_v1, 123.456789), (tree_v2, 123.456)], ids=["v1", "v2"]
)
def test_most_memory_and_cpu_time_are_read(
    tmp_path: Path, place: str, tree: Callable[[Path, str], Path], cpu_ms: float
) -> None:
    """Bytes and milliseconds, from the files of both versions of cgroups."""
    tree(tmp_path, place)
    with watch_memory(_ID, tmp_path) as memory:
        assert memory.usage() == Usage(peak_memory_bytes=17039360, cpu_ms=cpu_ms)


@pytest.mark.parametrize("tree", [tree_v1, tree_v2], ids=["v1", "v2"])
def test_what_was_used_is_known_after_the_cgroup_is_gone(
    tmp_path: Path, tree: Callable[[Path], Path]
) -> None:
    """What was read last counts; what was never read is not known."""
    tree(tmp_path)
    with watch_memory(_ID, tmp_path) as seen, watch_memory(_ID, tmp_path) as unseen:
        used = seen.usage()
        shutil.rmtree(tmp_path)
        assert seen.usage() == used != Usage()
        assert unseen.usage() == Usage()


@pytest.mark.parametrize("tree", [tree_v1, tree_v2], ids=["v1", "v2"])
def test_a_figure_that_is_missing_is_not_known(
    tmp_path: Path, tree: Callable[[Path], Path]
) -> None:
    """As on a kernel before 5.19, which has no `memory.peak`, and for a file without a number."""
    folder = tree(tmp_path)
    for name in ("memory.peak", "memory.max_usage_in_bytes"):
        (folder / name).unlink(missing_ok=True)
    with watch_memory(_ID, tmp_path) as memory:
        assert memory.usage().peak_memory_bytes is None
        assert memory.usage().cpu_ms is not None
    for path in (folder / "cpu.stat", *tmp_path.glob("cpuacct/*/*/cpuacct.usage")):
        path.write_text("usage_usec -1\n")
    with watch_memory(_ID, tmp_path) as memory:
        assert memory.usage() == Usage()


def test_where_no_cgroup_is_in_sight_nothing_is_claimed(tmp_path: Path) -> None:
    """In a container, the worker has the engine's field alone."""
    with watch_memory(_ID, tmp_path) as memory:
        poll = select.poll()
        memory.register(poll)
        assert isinstance(memory, NoMemoryWatch)
        assert (memory.read(), memory.usage()) == (MemoryFacts(), Usage())
        assert poll.poll(0) == []


def test_a_cgroup_that_cannot_be_registered_with_costs_no_descriptor(tmp_path: Path) -> None:
    """As with systemd's ProtectControlGroups=, which makes it read-only."""
    (tree_v1(tmp_path) / "cgroup.event_control").unlink()
    before = len(list(Path("/proc/self/fd").iterdir()))
    with watch_memory(_ID, tmp_path) as memory:
        assert isinstance(memory, NoMemoryWatch)
    tree_v2(tmp_path)
    with watch_memory(_ID, tmp_path):
        pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_whoever_says_so_is_believed() -> None:
    """Every combination of the engine's and the kernel's facts, against the rule written again."""
    for there, signals, killed in itertools.product(range(4), repeat=3):
        facts = MemoryFacts(signals_while_there=there, signals=there + signals, kills=killed)
        assert lacked_memory(engine=False, facts=facts) == (there >= 1 or signals > 1 or killed > 0)
        assert lacked_memory(engine=True, facts=facts)
