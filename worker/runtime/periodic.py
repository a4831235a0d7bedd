"""Periodic tasks: what one process does again and again, each task independent of the others.

A task that raises is logged and runs again after a pause. A task that hangs is cancelled at its
deadline. A task that is slow delays only its own next run. `run` must not block the event loop:
code that blocks belongs into a thread (`asyncio.to_thread`). All times are the event loop's.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, TypeAlias

from safeurl.errors import UnavailableError
from worker.runtime.log_limit import LogLimit

_log = logging.getLogger("safeurl.steward")

#: The longest pause after a failure, so that a task runs soon after what it lacks is back. A task
#: with a longer interval pauses for its interval.
MAX_PAUSE_S: Final = 10.0
#: The usual time limit of one run. It is several times the slowest answer of a database or an
#: engine, each of which has a time limit of its own.
DEADLINE_S: Final = 60.0
#: How often the term is checked while a task of the leader runs. Its writes are fenced by the term
#: besides, so a late check does no harm.
_TERM_CHECK_S: Final = 1.0
#: What a cancelled run gets to end. One that goes on is left alone, and its task does not run
#: again before it has ended.
_CANCEL_S: Final = 5.0
#: More threads than the tasks can occupy: a task blocks in one or two at a time.
_MAX_THREADS: Final = 64

#: The name of the task for which the current code runs.
_current_task: ContextVar[str] = ContextVar("current_task", default="")

#: What a task does in one run.
Run: TypeAlias = Callable[[], Awaitable[object]]

#: A run that was started; its result is the error that it raised.
_Started: TypeAlias = asyncio.Task[BaseException | None]


class Scope(Enum):
    """Which processes run a task."""

    #: The one process of each host.
    HOST = "host"
    #: Only the process that leads all hosts. A run is cancelled when its term is lost.
    LEADER = "leader"


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """A function that runs at an interval."""

    #: Unique in its process; for logs.
    name: str
    #: Seconds from the end of a run to the start of the next one.
    interval_s: float
    run: Run
    scope: Scope = Scope.HOST
    #: Seconds after which a run is cancelled and counts as failed.
    deadline_s: float = DEADLINE_S


class _End(Enum):
    """How the wait for a run ended."""

    DONE = auto()
    DEADLINE = auto()
    TERM = auto()


class PeriodicRunner:
    """Runs tasks until an event is set, and keeps each task from disturbing the others."""

    def __init__(self, stopping: asyncio.Event, *, term: Callable[[], int | None]) -> None:
        """Take the event that ends all tasks, and what returns the term (None: we do not lead).

        To be called in a running event loop, whose threads it then counts by task.
        """
        self._stopping = stopping
        self._term = term
        self._loop = asyncio.get_running_loop()
        self._log_limit = LogLimit()
        self._threads = _TaskThreads()
        self._loop.set_default_executor(self._threads)
        #: The last run of each task, by its name.
        self._runs: dict[str, _Started] = {}

    async def run(self, tasks: Sequence[PeriodicTask]) -> None:
        """Run each task at its interval until the event is set, then let the current runs end."""
        await asyncio.gather(*(self._repeat(task) for task in tasks))

    async def run_until_success(self, task: PeriodicTask) -> None:
        """Run one task until it has succeeded once, or until the event is set."""
        pause_s = task.interval_s
        while not self._stopping.is_set() and not await self.run_once(task):
            await self._pause(pause_s)
            pause_s = _longer(pause_s, task)

    async def run_once(self, task: PeriodicTask) -> bool:
        """Run the task once, within its deadline; return False if it failed. Never raises."""
        term = self._term()
        if task.scope is Scope.LEADER and term is None:
            return True
        if self._is_occupied(task):
            self._warn("periodic.still_running name=%s", task.name)
            return False
        run = self._runs[task.name] = asyncio.create_task(_error_of(task), name=task.name)
        end = await self._wait(task, run, term)
        if end is _End.DONE:
            return self._has_succeeded(task, run)
        run.cancel()
        await asyncio.wait({run}, timeout=_CANCEL_S)
        if end is _End.TERM:
            _log.info("periodic.cancelled name=%s term=%s", task.name, term)
            return True
        self._warn("periodic.deadline_passed name=%s deadline_s=%.0f", task.name, task.deadline_s)
        return False

    async def _repeat(self, task: PeriodicTask) -> None:
        pause_s = task.interval_s
        while not self._stopping.is_set():
            if await self.run_once(task):
                pause_s = task.interval_s
                await self._pause(pause_s)
            else:
                await self._pause(pause_s)
                pause_s = _longer(pause_s, task)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return

    async def _wait(self, task: PeriodicTask, run: _Started, term: int | None) -> _End:
        """Wait for the end of the run, of its deadline, or of the term in which it was started."""
        is_leaders = task.scope is Scope.LEADER
        deadline_s = self._loop.time() + task.deadline_s
        while (left_s := deadline_s - self._loop.time()) > 0:
            await asyncio.wait({run}, timeout=min(left_s, _TERM_CHECK_S) if is_leaders else left_s)
            if run.done():
                return _End.DONE
            if is_leaders and self._term() != term:
                return _End.TERM
        return _End.DEADLINE

    def _is_occupied(self, task: PeriodicTask) -> bool:
        """Return True while an earlier run, or a thread that it started, ignores its cancelling."""
        run = self._runs.get(task.name)
        return (run is not None and not run.done()) or self._threads.is_busy(task.name)

    def _has_succeeded(self, task: PeriodicTask, run: _Started) -> bool:
        error = asyncio.CancelledError() if run.cancelled() else run.result()
        if isinstance(error, UnavailableError):
            self._warn("steward.unavailable error=%s", error)
        elif error is not None and self._is_due(f"{task.name} {error!r}"):
            _log.error("periodic.failed name=%s", task.name, exc_info=error)
        return error is None

    def _warn(self, line: str, *facts: object) -> None:
        if self._is_due(line % facts):
            _log.warning(line, *facts)

    def _is_due(self, line: str) -> bool:
        return self._log_limit.is_due(line, self._loop.time())


def _longer(pause_s: float, task: PeriodicTask) -> float:
    return max(task.interval_s, min(MAX_PAUSE_S, pause_s * 2))


async def _error_of(task: PeriodicTask) -> BaseException | None:
    """Run the task and return its error, so that no error ends the event loop."""
    _current_task.set(task.name)
    try:
        await task.run()
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - also SystemExit, which would end all tasks
        return error
    return None


class _TaskThreads(ThreadPoolExecutor):
    """The event loop's threads, counted by the task for which they run.

    A thread cannot be cancelled: one that hangs stays when its run is cancelled. A task that has
    such a thread does not run again, so that it can never occupy all threads.
    """

    def __init__(self) -> None:
        super().__init__(_MAX_THREADS, thread_name_prefix="periodic")
        self._busy: dict[str, set[Future[Any]]] = {}

    # Any: the signature of the class above; `to_thread` passes every kind of call.
    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start the call in a thread and count it until it ends."""
        future = super().submit(fn, *args, **kwargs)
        calls = self._busy.setdefault(_current_task.get(), set())
        calls.add(future)
        future.add_done_callback(calls.discard)
        return future

    def is_busy(self, task: str) -> bool:
        """Return True while a thread runs for this task."""
        return bool(self._busy.get(task))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - the signature of the class above
        """Wait for no thread: at the end of the process only those run that hang."""
        del wait
        super().shutdown(wait=False, cancel_futures=cancel_futures)
