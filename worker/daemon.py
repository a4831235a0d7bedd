"""What a worker's process tree consists of: RQ workers, the steward, and the embedded Valkey."""

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis
from redis.exceptions import RedisError
from rq import Worker
from rq.executions import Execution
from rq.job import Job

from safeurl.adapters.redis.embedded import serve
from safeurl.adapters.redis.queue import QUEUE_NAME, SERIALIZER
from safeurl.analysis import preload
from safeurl.bootstrap import prepare, redis_server
from safeurl.errors import EgressUnavailableError
from safeurl.settings import Settings
from worker import tasks  # the task's imports are made here once and inherited by every fork
from worker.egress.client import EgressClient
from worker.egress.server import run_gateway
from worker.steward import run_steward
from worker.supervisor import Role, Supervisor

_log = logging.getLogger("safeurl.daemon")

#: Added to the attempt's deadline when the tree stops, so that what runs can be recorded.
_STOP_MARGIN_S = 10.0
_POLL_S = 0.1
#: How often a worker that waits for another part says so.
_TELL_S = 10.0


class _ScanWorker(Worker):
    """RQ's forking worker, to which a lost Redis matters less.

    It looks for Redis every few seconds, not every minute. And what it only tells Redis is not
    worth leaving a running job for: RQ's own worker would end at once, and orphan the job.
    """

    max_connection_wait_time = 2.0

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


def run_worker(settings: Settings, *, more: tuple[Role, ...] = ()) -> None:
    """Run the worker's process tree until SIGTERM; the roles in `more` run beside it."""
    prepare(settings)
    preload()
    tasks.learn_runtime(settings)
    roles = [Role("steward", lambda: asyncio.run(run_steward(settings)))]
    roles += [
        Role(f"worker-{number}", lambda: _run_rq_worker(settings))
        for number in range(1, settings.worker_concurrency + 1)
    ]
    if not settings.redis_host:
        valkey = Role(
            "valkey", lambda: serve(settings.valkey_dir, settings.valkey_socket), stop_wave=1
        )
        roles.insert(0, valkey)
    if settings.container_network == "none" and not settings.egress_dir:
        roles.insert(0, Role("gateway", lambda: run_gateway(settings), stop_wave=1))
    _log.info("worker.starting concurrency=%d task=%s", settings.worker_concurrency, tasks.__name__)
    grace_s = settings.attempt_timeout.total_seconds() + _STOP_MARGIN_S
    Supervisor([*roles, *more], grace_s=grace_s).run()


def _run_rq_worker(settings: Settings) -> None:
    """Take wake-ups off the one queue until SIGTERM; each job runs in a forked child."""
    connection = redis_server(settings).connect_worker()
    _wait_for(connection)
    if settings.container_network == "none":
        _wait_for_gateway(settings)
    worker = _ScanWorker([QUEUE_NAME], connection=connection, serializer=SERIALIZER)
    worker.log_job_description = False
    worker.work(logging_level="WARNING")


def _wait_for(connection: Redis) -> None:
    """Return once Redis answers; SIGTERM still ends the process."""
    tell_at_s = time.monotonic() + _TELL_S
    while True:
        try:
            connection.ping()
        except RedisError as error:
            if time.monotonic() >= tell_at_s:
                _log.warning("worker.waiting_for_redis error=%s", error)
                tell_at_s += _TELL_S
            time.sleep(_POLL_S)
        else:
            return


def _wait_for_gateway(settings: Settings) -> None:
    """Return once the egress gateway answers, so that no attempt is spent on its absence."""
    client = EgressClient(settings.gateway_dir)
    tell_at_s = time.monotonic() + _TELL_S
    while True:
        try:
            asyncio.run(client.ping())
        except EgressUnavailableError as error:
            if time.monotonic() >= tell_at_s:
                _log.warning("worker.waiting_for_gateway error=%s", error)
                tell_at_s += _TELL_S
            time.sleep(_POLL_S)
        else:
            return
