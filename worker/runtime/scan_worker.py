"""A worker process: takes wake-ups off the queue and runs each scan in a forked child.

It lives with a lost Redis, and for a number of scans or a while.
"""

import logging
import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType

from redis import Redis
from redis.exceptions import RedisError

from safeurl.adapters.redis.wakeup import count_refused, take
from safeurl.model.wakeup import Refusal, Wakeup
from worker.runtime.job_process import run_job
from worker.runtime.log_limit import LogLimit

_log = logging.getLogger("safeurl.daemon")

#: How often a worker whose engine is away looks for it.
_LOOK_S = 0.5
#: A worker asks for a wake-up for so long at a time.
WAIT_S = 30.0
#: Wait for any answer: a connection that died without a word (failover, firewall) keeps a worker no
#: longer. It must be more than `WAIT_S`, during which Redis answers nothing.
ANSWER_TIMEOUT_S = 40.0
#: How often the same trouble is logged.
_TELL_S = 10.0
_TRY_AGAIN_S = 1.0
#: So many refused jobs are logged in so many seconds; health counts them all. Whoever writes to
#: Redis could fill a disk with them.
_MOST_REFUSALS, _REFUSALS_S = 200, 3600.0


class _Stopped(BaseException):
    """Leaves a wait because this process was told to stop."""


class ScanWorker:
    """Runs scans one after the other; ends, between scans only, once it has lived its life."""

    def __init__(  # noqa: PLR0913 - each is a limit or a part that it uses
        self,
        connection: Redis,
        *,
        tasks: Mapping[str, Callable[[str], None]],
        deadline_s: float,
        max_scans: int,
        lifetime_s: float,
        missing: Callable[[], str],
    ) -> None:
        """Take the queue's server, and how many scans and seconds it may live; 0 is for ever.

        A wake-up may name a task of the table, and nothing else is ever called. No wake-up is
        taken while `missing` names what a scan needs and is away: it can wait as well as the scan.
        """
        self._connection = connection
        self._tasks = tasks
        self._deadline_s = deadline_s
        self._missing = missing
        self._max_scans = max_scans
        self._lifetime_s = lifetime_s
        self._born_s = time.monotonic()
        self._scans = 0
        self._is_told = False
        self._is_waiting = False
        self._tell_at_s = 0.0
        self._refusals = 0
        self._refusals_until_s = 0.0

    def run(self) -> None:
        """Take wake-ups off the one queue until SIGTERM or the end of this life."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        with suppress(_Stopped):
            while not (self._is_told or self._is_used_up()):
                self._step()
        if self._is_used_up():
            age_s = time.monotonic() - self._born_s
            _log.info("worker.used_up scans=%d age_s=%.1f", self._scans, age_s)

    def _step(self) -> None:
        """Take one wake-up, or learn that there is none, and do what it asks."""
        if not self._wait_until_ready():
            return
        try:
            taken = take(self._connection, self._patience_s(), waiting=self._waiting())
        except RedisError as error:
            self._tell("worker.redis_lost at=take error=%s", error)
            self._pause(_TRY_AGAIN_S)
            return
        self._tell_at_s = 0.0
        if isinstance(taken, Wakeup) and taken.task not in self._tasks:
            taken = Refusal.TASK
        if isinstance(taken, Refusal):
            self._refuse(taken)
        elif taken is not None:
            self._execute(taken)

    def _refuse(self, reason: Refusal) -> None:
        """Say that somebody else writes to this Redis; nothing of the job itself is repeated."""
        now = time.monotonic()
        if now >= self._refusals_until_s:
            self._refusals, self._refusals_until_s = 0, now + _REFUSALS_S
        self._refusals += 1
        if self._refusals <= _MOST_REFUSALS:
            _log.warning("worker.refused_job reason=%s", reason)
        elif self._refusals == _MOST_REFUSALS + 1:
            _log.warning("worker.refusals_not_logged for_s=%d", self._refusals_until_s - now)
        try:
            count_refused(self._connection)
        except RedisError as error:
            _log.warning("worker.redis_lost at=refuse error=%s", error)

    def _execute(self, wakeup: Wakeup) -> None:
        """Run one scan to its end, and count it."""
        # The engine may have gone while we waited for this wake-up; the scan is still QUEUED.
        if not self._wait_until_ready():
            # We end before it is back. The rescuer sends another wake-up, and no attempt is spent.
            _log.info("worker.dropped scan=%s", wakeup.scan_id)
            return
        task = partial(self._tasks[wakeup.task], wakeup.scan_id)
        status = run_job(task, deadline_s=self._deadline_s)
        if status:
            _log.warning("worker.job_failed scan=%s status=%d", wakeup.scan_id, status)
        self._scans += 1

    def _wait_until_ready(self) -> bool:
        """Wait for what a scan needs; False where this life ended before it was there."""
        log_limit = LogLimit()
        while missing := self._missing():
            if self._is_told or self._is_used_up():
                return False
            if log_limit.is_due(missing, time.monotonic()):
                _log.warning("worker.waiting_for_%s", missing)
            time.sleep(_LOOK_S)
        return True

    def _patience_s(self) -> float:
        """Return for how long to wait for a wake-up: no longer than is left to live."""
        if not self._lifetime_s:
            return WAIT_S
        left_s = math.ceil(self._lifetime_s - (time.monotonic() - self._born_s))
        return min(WAIT_S, max(1, left_s))  # to wait for 0 seconds is to wait for ever

    def _is_used_up(self) -> bool:
        aged = time.monotonic() - self._born_s >= self._lifetime_s > 0
        return aged or self._scans >= self._max_scans > 0

    def _tell(self, words: str, *facts: object) -> None:
        """Log what goes on for a while, now and then."""
        if time.monotonic() >= self._tell_at_s:
            self._tell_at_s = time.monotonic() + _TELL_S
            _log.warning(words, *facts)

    def _pause(self, seconds: float) -> None:
        with self._waiting():
            time.sleep(seconds)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Let a signal end the block, also one that came just before it."""
        self._is_waiting = True
        try:
            if self._is_told:
                raise _Stopped
            yield
        finally:
            self._is_waiting = False

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """End a wait at once, and what runs not at all."""
        self._is_told = True
        if self._is_waiting:
            self._is_waiting = False  # once only: a repeated signal must not break the way out
            raise _Stopped
