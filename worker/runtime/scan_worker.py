"""A worker process: takes wake-ups off the queue and runs each scan in a forked child.

It keeps running when Redis is lost. It ends after a number of scans or seconds, so that a fresh
process takes its place.
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
from safeurl.model.records.wakeup import Refusal, Wakeup
from worker.runtime.job_process import run_job
from worker.runtime.log_limit import LogLimit

_log = logging.getLogger("safeurl.daemon")

#: How often a dependency that is unavailable is checked again.
_CHECK_INTERVAL_S = 0.5
#: The longest single request for a wake-up.
WAIT_S = 30.0
#: The time limit of any answer. A connection that is lost without a packet (failover, firewall)
#: occupies a worker no longer. It must be more than `WAIT_S`, in which Redis answers nothing.
ANSWER_TIMEOUT_S = 40.0
#: How often the same fault of Redis is logged.
_LOG_INTERVAL_S = 10.0
_RETRY_S = 1.0
#: So many refused jobs are logged in so many seconds; health counts all. Otherwise anyone who can
#: write to Redis could fill the disk with log lines.
_MAX_LOGGED_REFUSALS, _REFUSALS_S = 200, 3600.0


class _Stopped(BaseException):
    """Ends a wait because this process is to stop."""


class ScanWorker:
    """Runs scans one after the other; ends only between scans, after its scans or seconds."""

    def __init__(  # noqa: PLR0913 - each is a limit or a part that it uses
        self,
        connection: Redis,
        *,
        tasks: Mapping[str, Callable[[Wakeup], None]],
        deadline_s: float,
        max_scans: int,
        lifetime_s: float,
        unavailable_dependency: Callable[[], str],
    ) -> None:
        """Take the queue's server and the most scans and seconds of this process; 0 is no limit.

        A wake-up can name a task of the table; nothing else is ever called. No wake-up is taken
        while `unavailable_dependency` returns the name of something that a scan needs: the wake-up
        and its scan wait.
        """
        self._connection = connection
        self._tasks = tasks
        self._deadline_s = deadline_s
        self._unavailable_dependency = unavailable_dependency
        self._max_scans = max_scans
        self._lifetime_s = lifetime_s
        self._started_s = time.monotonic()
        self._scans = 0
        self._is_stopping = False
        self._is_waiting = False
        self._log_at_s = 0.0
        self._refusals = 0
        self._refusals_until_s = 0.0

    def run(self) -> None:
        """Take wake-ups off the queue until SIGTERM, or until the scans or seconds are used up."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        with suppress(_Stopped):
            while not (self._is_stopping or self._is_used_up()):
                self._step()
        if self._is_used_up():
            age_s = time.monotonic() - self._started_s
            _log.info("worker.used_up scans=%d age_s=%.1f", self._scans, age_s)

    def _step(self) -> None:
        """Take one wake-up, if one comes in time, and run its scan."""
        if not self._wait_until_ready():
            return
        try:
            taken = take(self._connection, self._wait_s(), waiting=self._waiting())
        except RedisError as error:
            self._log_at_intervals("worker.redis_lost at=take error=%s", error)
            self._pause(_RETRY_S)
            return
        self._log_at_s = 0.0
        if isinstance(taken, Wakeup) and taken.task not in self._tasks:
            taken = Refusal.TASK
        if isinstance(taken, Refusal):
            self._refuse(taken)
        elif taken is not None:
            self._execute(taken)

    def _refuse(self, reason: Refusal) -> None:
        """Log and count a job that SafeURL did not write; nothing of its content is logged."""
        now = time.monotonic()
        if now >= self._refusals_until_s:
            self._refusals, self._refusals_until_s = 0, now + _REFUSALS_S
        self._refusals += 1
        if self._refusals <= _MAX_LOGGED_REFUSALS:
            _log.warning("worker.refused_job reason=%s", reason)
        elif self._refusals == _MAX_LOGGED_REFUSALS + 1:
            _log.warning("worker.refusals_not_logged for_s=%d", self._refusals_until_s - now)
        try:
            count_refused(self._connection)
        except RedisError as error:
            _log.warning("worker.redis_lost at=refuse error=%s", error)

    def _execute(self, wakeup: Wakeup) -> None:
        """Run one scan to its end, and count it."""
        # The engine may have been lost while we waited for this wake-up. The scan is still QUEUED.
        if not self._wait_until_ready():
            # This process ends first. The rescuer sends another wake-up; no attempt is used up.
            _log.info("worker.dropped scan=%s", wakeup.scan_id)
            return
        task = partial(self._tasks[wakeup.task], wakeup)
        status = run_job(task, deadline_s=self._deadline_s)
        if status:
            _log.warning("worker.job_failed scan=%s status=%d", wakeup.scan_id, status)
        self._scans += 1

    def _wait_until_ready(self) -> bool:
        """Wait until a scan can run; return False if this process is to end first."""
        log_limit = LogLimit()
        while dependency := self._unavailable_dependency():
            if self._is_stopping or self._is_used_up():
                return False
            if log_limit.is_due(dependency, time.monotonic()):
                _log.warning("worker.waiting_for_%s", dependency)
            time.sleep(_CHECK_INTERVAL_S)
        return True

    def _wait_s(self) -> float:
        """Return how long to wait for a wake-up: at most until the end of this process."""
        if not self._lifetime_s:
            return WAIT_S
        left_s = math.ceil(self._lifetime_s - (time.monotonic() - self._started_s))
        return min(WAIT_S, max(1, left_s))  # for Redis, 0 means without a limit

    def _is_used_up(self) -> bool:
        aged = time.monotonic() - self._started_s >= self._lifetime_s > 0
        return aged or self._scans >= self._max_scans > 0

    def _log_at_intervals(self, line: str, *facts: object) -> None:
        """Log a fault that lasts, once per interval."""
        if time.monotonic() >= self._log_at_s:
            self._log_at_s = time.monotonic() + _LOG_INTERVAL_S
            _log.warning(line, *facts)

    def _pause(self, seconds: float) -> None:
        with self._waiting():
            time.sleep(seconds)

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Let a signal end the block, also a signal that came just before it."""
        self._is_waiting = True
        try:
            if self._is_stopping:
                raise _Stopped
            yield
        finally:
            self._is_waiting = False

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Stop: end a wait at once, but let a scan that runs end by itself."""
        self._is_stopping = True
        if self._is_waiting:
            self._is_waiting = False  # once: a repeated signal must not interrupt the end
            raise _Stopped
