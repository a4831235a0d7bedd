"""The processes of a worker: scan workers, maintenance, and the embedded Valkey and gateway."""

import asyncio
import logging
import os
from collections.abc import Callable

from safeurl.adapters.redis.embedded import serve
from safeurl.analysis import preload
from safeurl.bootstrap import preload_store, prepare, redis_server, utc_now
from safeurl.settings import Settings
from worker import tasks  # imported before the forks, so that all share its modules
from worker.bootstrap import learn_runtime, make_pool, make_sandbox
from worker.egress.gateway.server import run_gateway
from worker.egress.protocol import CONTROL_NAME
from worker.egress.unix_socket import short_path
from worker.identity import owner_name
from worker.runtime.maintenance import run_maintenance
from worker.runtime.scan_worker import ANSWER_TIMEOUT_S, ScanWorker
from worker.runtime.supervisor import Role, Supervisor
from worker.sandbox.engine import is_listening
from worker.sandbox.pool.process import run_pool

_log = logging.getLogger("safeurl.daemon")

#: Added to an attempt's time limit when all stops, so that a running attempt can be recorded.
_STOP_MARGIN_S = 10.0

#: Roles stop in this order. Maintenance goes on while scans end; both use the queue and gateway.
_MAINTENANCE_WAVE = 1
_SERVER_WAVE = 2


def run_worker(
    settings: Settings,
    *,
    more: tuple[Role, ...] = (),
    on_failing: Callable[[tuple[str, ...]], None] = lambda _names: None,
) -> None:
    """Run the processes of a worker until SIGTERM, and the roles in `more` beside them.

    `on_failing` is called with the names of those that fail at each start, whenever these change.
    """
    load_before_forks(settings)
    learn_runtime(settings)
    roles = [
        Role(
            "maintenance",
            lambda: asyncio.run(run_maintenance(settings)),
            stop_wave=_MAINTENANCE_WAVE,
        )
    ]
    roles += [
        Role(f"worker-{number}", lambda: _run_scan_worker(settings))
        for number in range(1, settings.worker_concurrency + 1)
    ]
    if settings.has_pool:
        pool = Role("pool", lambda: _run_pool(settings), stop_wave=_MAINTENANCE_WAVE)
        roles.insert(0, pool)
    if settings.is_redis_embedded:
        valkey = Role(
            "valkey",
            lambda: serve(settings.valkey_dir, settings.valkey_socket),
            stop_wave=_SERVER_WAVE,
        )
        roles.insert(0, valkey)
    if settings.container_network == "none" and not settings.egress_dir:
        gateway = Role("gateway", lambda: run_gateway(settings), stop_wave=_SERVER_WAVE)
        roles.insert(0, gateway)
    _log.info("worker.starting concurrency=%d task=%s", settings.worker_concurrency, tasks.__name__)
    grace_s = settings.attempt_timeout.total_seconds() + _STOP_MARGIN_S
    Supervisor([*roles, *more], grace_s=grace_s, on_failing=on_failing).run()


def load_before_forks(settings: Settings) -> None:
    """Load once what each scan's process would otherwise load for itself, after its fork."""
    prepare(settings)
    preload()
    preload_store(settings)
    owner_name(os.getpid())  # it reads the boot's name, and remembers it


def _run_pool(settings: Settings) -> None:
    """Start sandboxes ahead until SIGTERM."""
    run_pool(make_pool(settings), utc_now)


def _run_scan_worker(settings: Settings) -> None:
    """Run scans until SIGTERM, or until this process ends and a fresh one takes its place."""
    make_scan_worker(settings).run()


def make_scan_worker(settings: Settings) -> ScanWorker:
    """Return a worker; it connects to Redis when it runs."""
    return ScanWorker(
        redis_server(settings).connect_worker(ANSWER_TIMEOUT_S),
        tasks=tasks.make_tasks(settings),
        deadline_s=settings.job_timeout.total_seconds(),
        max_scans=settings.max_scans_per_worker,
        lifetime_s=settings.worker_max_lifetime,
        unavailable_dependency=lambda: _unavailable_dependency(settings),
    )


def _unavailable_dependency(settings: Settings) -> str:
    """Return the name of what every scan needs and is unavailable, or an empty string.

    So no attempt is used up while it is unavailable.
    """
    if not is_listening(str(settings.docker_socket_path)):
        return "engine"
    if settings.container_network == "none" and not _has_gateway(settings):
        return "gateway"
    if reason := make_sandbox(settings).unavailable_reason():
        return f"engine error={reason!r}"
    return ""


def _has_gateway(settings: Settings) -> bool:
    try:
        with short_path(settings.gateway_dir, CONTROL_NAME) as path:
            return is_listening(path)
    except OSError:
        return False
