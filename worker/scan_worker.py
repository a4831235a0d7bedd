"""RQ's forking worker, made to live with a lost Redis, and for a number of scans or a while."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.executions import Execution
from rq.job import Job

from safeurl.adapters.redis.queue import QUEUE_NAME, SERIALIZER

_log = logging.getLogger("safeurl.daemon")

#: How often a worker whose engine is away looks for it, and says so.
_LOOK_S = 0.5
#: RQ waits for a wake-up a third less than this.
_TTL_S = 45
#: Wait for any answer: a connection that died without a word (failover, firewall) keeps a worker no
#: longer. RQ wants ten seconds more than it waits for a wake-up.
ANSWER_TIMEOUT_S = 40.0
_TELL_S = 10.0
_TRY_AGAIN_S = 1.0


class ScanWorker(Worker):
    """Runs each scan in a forked child; ends, between scans only, once it has lived its life.

    A lost Redis matters less to it than to RQ's own. It looks for Redis every few seconds, not
    every minute. And what it only tells Redis is not worth leaving a running job for: RQ's own
    worker would end at once, and orphan the job.
    """

    max_connection_wait_time = 2.0
    log_job_description = False

    def __init__(
        self,
        connection: Redis,
        *,
        max_scans: int,
        lifetime_s: float,
        missing: Callable[[], str],
    ) -> None:
        """Take the queue's server, and how many scans and seconds it may live; 0 is for ever.

        Nothing is taken while `missing` names what a scan needs and is away: its wake-up can wait
        as well as it can.
        """
        super().__init__(
            [QUEUE_NAME], connection=connection, serializer=SERIALIZER, worker_ttl=_TTL_S
        )
        self._missing = missing
        self._max_scans = max_scans
        self._lifetime_s = lifetime_s
        self._born_s = time.monotonic()
        self._scans = 0

    def run(self) -> None:
        """Take wake-ups off the one queue until SIGTERM or the end of this life."""
        try:
            self.work(logging_level="WARNING", max_jobs=self._max_scans or None)
        except RedisError as error:
            # What RQ does not catch, at its start above all, ends this process, and another comes;
            # not at once, since a Redis that refuses a command of RQ's refuses the next one too.
            _log.warning("worker.redis_lost at=work error=%s", error)
            time.sleep(_TRY_AGAIN_S)
        if self._is_used_up():
            age_s = time.monotonic() - self._born_s
            _log.info("worker.used_up scans=%d age_s=%.1f", self._scans, age_s)

    def subscribe(self) -> None:
        """Listen to none of RQ's commands: nobody sends any.

        Its thread would delay our end by a second, and be there when a scan's process is forked.
        """

    def check_for_suspension(self, *_: object, **__: object) -> None:
        """Go on: `rq suspend` is for whoever else uses this Redis; a scan is cancelled instead."""

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run one scan to its end, and count it."""
        # The engine may have gone while we waited for this wake-up; the scan is still QUEUED.
        if not self._wait_until_ready():
            # We end before it is back. The rescuer sends another wake-up, and no attempt is spent.
            _log.info("worker.dropped job=%s", job.id)
            with _without_redis("drop"):
                job.delete()
                queue.intermediate_queue.remove(job.id)
            return
        try:
            super().execute_job(job, queue)
        except RedisError as error:
            # The scan has ended, and its row says how; only RQ's own record of it is missing.
            _log.warning("worker.redis_lost at=end error=%s", error)
        self._scans += 1

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Wait for a wake-up no longer than is left to live; None ends the loop."""
        self._wait_until_ready()
        if self._stop_requested:
            return None
        if self._lifetime_s:
            # Whole seconds are what RQ waits by, and to wait for 0 seconds is to wait for ever.
            max_idle_time = math.ceil(self._lifetime_s - (time.monotonic() - self._born_s))
            if max_idle_time <= 0:
                return None
        return super().dequeue_job_and_maintain_ttl(timeout, max_idle_time)

    def _wait_until_ready(self) -> bool:
        """Wait for what a scan needs; False where this life ended before it was there."""
        tell_at_s = time.monotonic()
        while missing := self._missing():
            if self._stop_requested or self._is_used_up():
                return False
            if time.monotonic() >= tell_at_s:
                _log.warning("worker.waiting_for_%s", missing)
                tell_at_s += _TELL_S
                with _without_redis("waiting"):
                    self.heartbeat()
            time.sleep(_LOOK_S)
        return True

    def _is_used_up(self) -> bool:
        aged = time.monotonic() - self._born_s >= self._lifetime_s > 0
        return aged or self._scans >= self._max_scans > 0

    def set_shutdown_requested_date(self) -> None:
        """Tell Redis of the stop, if it is there."""
        with _without_redis("stop"):
            super().set_shutdown_requested_date()  # type: ignore[no-untyped-call]  # RQ types a part of itself

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        """Tell Redis that worker and job live, if it is there."""
        with _without_redis("heartbeat"):
            super().maintain_heartbeats(job, execution)

    def teardown(self) -> None:
        """Sign off, if Redis is there."""
        with _without_redis("teardown"):
            super().teardown()  # type: ignore[no-untyped-call]  # the same


@contextmanager
def _without_redis(what: str) -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        _log.warning("worker.redis_lost at=%s error=%s", what, error)
