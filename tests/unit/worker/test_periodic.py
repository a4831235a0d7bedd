"""Periodic tasks: each runs on time whatever the others do, by the clock of the event loop."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from safeurl.errors import StoreUnavailableError
from tests.support.virtual_time import virtual_time
from worker.runtime.periodic import (
    DEADLINE_S,
    MAX_PAUSE_S,
    PeriodicRunner,
    PeriodicTask,
    Run,
    Scope,
)

#: Long enough for several deadlines, and for all pauses to grow to their longest. Odd, so that no
#: task is due at the very moment of the stop.
_LASTING_S = 4 * DEADLINE_S - 1
_INTERVAL_S = 2.0


class _World:
    """A runner, when the tasks were run, and whether this process leads."""

    def __init__(self) -> None:
        """Start without a term."""
        self.stopping = asyncio.Event()
        self.term: int | None = None
        self.runner = PeriodicRunner(self.stopping, term=lambda: self.term)
        self.starts: dict[str, list[float]] = {}

    @property
    def now_s(self) -> float:
        """The time of the loop."""
        return asyncio.get_running_loop().time()

    def task(
        self,
        name: str,
        run: Run | None = None,
        interval_s: float = _INTERVAL_S,
        scope: Scope = Scope.HOST,
    ) -> PeriodicTask:
        """Return a task whose starts are recorded."""
        starts = self.starts[name] = []

        async def recorded() -> None:
            starts.append(self.now_s)
            if run is not None:
                await run()

        return PeriodicTask(name, interval_s, recorded, scope)

    async def last(self, *tasks: PeriodicTask, seconds: float = _LASTING_S) -> None:
        """Run the tasks for so long."""
        running = asyncio.create_task(self.runner.run(tasks))
        await asyncio.sleep(seconds)
        self.stopping.set()
        await running


class _Block:
    """Blocks every thread that calls it until the end of the test."""

    def __init__(self) -> None:
        self.calls = 0
        self._end = threading.Event()

    def __call__(self) -> None:
        """Block."""
        self.calls += 1
        self._end.wait()

    def end(self) -> None:
        """End all blocked calls."""
        self._end.set()


@pytest.fixture
def block() -> Iterator[_Block]:
    """Return a blocking call, which ends with the test."""
    made = _Block()
    yield made
    made.end()


async def _raise(error: BaseException) -> None:
    await asyncio.sleep(0)
    raise error


async def _hang() -> None:
    await asyncio.Event().wait()


async def _hang_and_ignore_the_end() -> None:
    loop = asyncio.get_running_loop()
    while loop.time() < _LASTING_S:
        try:
            await asyncio.sleep(_LASTING_S)
        except asyncio.CancelledError:
            continue


def _cancel_oneself() -> Awaitable[None]:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    return asyncio.sleep(0)


_FAULTS: dict[str, Run] = {
    "os-error": lambda: _raise(OSError("disk")),
    "unavailable": lambda: _raise(StoreUnavailableError("It is away.")),
    "a bug": lambda: _raise(KeyError("x")),
    "exit": lambda: _raise(SystemExit(1)),
    "cancelled": _cancel_oneself,
    "hangs": _hang,
    "hangs and ignores its cancelling": _hang_and_ignore_the_end,
    "slow": lambda: asyncio.sleep(DEADLINE_S - 1),
}


def _on_time() -> list[float]:
    return [count * _INTERVAL_S for count in range(int(_LASTING_S // _INTERVAL_S) + 1)]


@pytest.mark.parametrize("fault", _FAULTS.values(), ids=_FAULTS)
@virtual_time
async def test_a_task_that_misbehaves_leaves_the_others_on_time(fault: Run) -> None:
    """The others start at each interval, and the task itself is run again."""
    world = _World()
    await world.last(world.task("before"), world.task("fault", fault), world.task("after"))
    assert world.starts["before"] == world.starts["after"] == _on_time()
    is_run_again = fault is not _hang_and_ignore_the_end
    assert (len(world.starts["fault"]) > 1) is is_run_again


@virtual_time
async def test_all_faults_at_once_leave_the_others_on_time() -> None:
    """Ten tasks with each kind of fault delay no other task."""
    world = _World()
    faulty = [
        world.task(f"{name} {count}", fault)
        for name, fault in _FAULTS.items()
        for count in range(10)
    ]
    await world.last(world.task("before"), *faulty, world.task("after"))
    assert world.starts["before"] == world.starts["after"] == _on_time()


@virtual_time
async def test_a_task_that_blocks_in_a_thread_leaves_the_others_on_time(block: _Block) -> None:
    """Its thread stays, so it does not run again and occupies no further thread."""
    world = _World()

    async def blocking() -> None:
        await asyncio.to_thread(block)

    await world.last(world.task("before"), world.task("block", blocking), world.task("after"))
    assert world.starts["before"] == world.starts["after"] == _on_time()
    assert (len(world.starts["block"]), block.calls) == (1, 1)


async def test_a_thread_that_ends_late_frees_its_task(block: _Block) -> None:
    """Meanwhile other tasks have threads; then the task runs again. By the real clock."""
    world = _World()

    async def blocking() -> None:
        await asyncio.to_thread(block)

    async def threaded() -> None:
        await asyncio.to_thread(threading.get_ident)

    task = replace(world.task("block", blocking), deadline_s=0.05)
    for _ in range(3):
        assert not await world.runner.run_once(task)
    assert await world.runner.run_once(world.task("other", threaded))
    assert (len(world.starts["block"]), block.calls) == (1, 1)
    block.end()
    while len(world.starts["block"]) == 1:
        await world.runner.run_once(task)
    await world.runner.run_once(world.task("other", threaded))


@virtual_time
async def test_a_task_that_hangs_is_cancelled_at_its_deadline() -> None:
    """It counts as failed, and its next run comes after the pause."""
    world = _World()
    await world.last(world.task("hangs", _hang), seconds=3 * DEADLINE_S)
    first, second, *_ = world.starts["hangs"]
    assert (first, second) == (0.0, DEADLINE_S + _INTERVAL_S)


@virtual_time
async def test_a_task_that_fails_pauses_longer_each_time() -> None:
    """Twice as long up to the longest pause; one success makes it short again."""
    world = _World()
    fails = iter([True] * 6 + [False] + [True] * 3)

    async def run() -> None:
        if next(fails, False):
            raise OSError

    await world.last(world.task("task", run))
    starts = world.starts["task"][:11]
    pauses = [after - before for before, after in pairwise(starts)]
    assert pauses == [2, 4, 8, MAX_PAUSE_S, MAX_PAUSE_S, MAX_PAUSE_S, 2, 2, 4, 8]


@virtual_time
async def test_an_interval_may_be_longer_than_the_longest_pause() -> None:
    """Then a failure makes a task neither sooner nor later."""
    world = _World()
    await world.last(world.task("task", _FAULTS["os-error"], interval_s=50))
    assert world.starts["task"] == [0, 50, 100, 150, 200]


@virtual_time
async def test_a_task_of_the_leader_runs_while_this_process_leads() -> None:
    """It starts with the next interval after the election, and not after the term."""
    world = _World()
    task = world.task("leader's", scope=Scope.LEADER)
    running = asyncio.create_task(world.last(task, world.task("host's"), seconds=29))
    await asyncio.sleep(9)
    world.term = 1
    await asyncio.sleep(10)
    world.term = None
    await running
    assert world.starts["leader's"] == [10, 12, 14, 16, 18]
    assert len(world.starts["host's"]) == 15


@pytest.mark.parametrize("next_term", [None, 2])
@virtual_time
async def test_a_task_of_the_leader_is_cancelled_with_its_term(next_term: int | None) -> None:
    """A lost term ends the run within a second; a task of the host continues."""
    world = _World()
    world.term = 1
    ended: list[tuple[str, float]] = []

    def hang(name: str) -> Run:
        async def run() -> None:
            try:
                await asyncio.sleep(20)
            finally:
                ended.append((name, world.now_s))

        return run

    tasks = [
        world.task("leader's", hang("leader's"), scope=Scope.LEADER),
        world.task("host's", hang("host's")),
    ]
    running = asyncio.create_task(world.last(*tasks, seconds=12))
    await asyncio.sleep(5.5)
    world.term = next_term
    await asyncio.sleep(5)
    assert ended == [("leader's", 6.0)]
    assert len(world.starts["leader's"]) == (1 if next_term is None else 2)
    world.term = None
    await running


@virtual_time
async def test_a_stop_lets_the_current_runs_end() -> None:
    """The stop cancels no run before its deadline, and no run starts after it."""
    world = _World()
    ends: list[float] = []

    async def slow() -> None:
        await asyncio.sleep(30)
        ends.append(world.now_s)

    await world.last(world.task("slow", slow), world.task("quick"), seconds=7)
    assert ends == [30]
    assert world.starts["quick"] == [0, 2, 4, 6]


@virtual_time
async def test_a_task_is_tried_until_it_succeeds() -> None:
    """One such task is the migration, which must succeed before all others."""
    world = _World()
    fails = iter([True, True, True])

    async def run() -> None:
        if next(fails, False):
            raise StoreUnavailableError("It is away.")

    await world.runner.run_until_success(world.task("migrate", run, interval_s=1))
    assert world.starts["migrate"] == [0, 1, 3, 7]
    world.stopping.set()
    await world.runner.run_until_success(world.task("never", _FAULTS["os-error"]))
    assert world.starts["never"] == []


@virtual_time
async def test_a_fault_that_lasts_is_logged_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Once for all tasks with the same unavailable part; for other faults with the task's name."""
    world = _World()
    with caplog.at_level(logging.INFO):
        await world.last(
            world.task("a", _FAULTS["unavailable"]),
            world.task("b", _FAULTS["unavailable"]),
            world.task("c", _FAULTS["os-error"]),
            world.task("d", _hang),
            seconds=DEADLINE_S,
        )
    lines = [record.getMessage() for record in caplog.records]
    assert 1 < lines.count("steward.unavailable error=It is away.") < 6
    assert 1 < lines.count("periodic.failed name=c") < 6
    assert lines.count("periodic.deadline_passed name=d deadline_s=60") == 1
    assert "OSError: disk" in caplog.text


def test_threads_that_hang_do_not_keep_the_process(block: _Block) -> None:
    """The loop closes, though a thread that it had started still runs."""

    @virtual_time
    async def act() -> None:
        world = _World()

        async def blocking() -> None:
            await asyncio.to_thread(block)

        await world.runner.run_once(world.task("block", blocking))

    act()
    assert block.calls == 1
