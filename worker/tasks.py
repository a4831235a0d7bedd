"""What a wake-up may ask for, run in a forked child that inherited every import."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache

from safeurl.bootstrap import make_artefacts, make_policy, open_store, utc_now
from safeurl.errors import SandboxUnavailableError
from safeurl.model.wakeup import TASK
from safeurl.settings import Settings
from worker.attempt.executor import AttemptLimits, Executor
from worker.egress.client.adapter import GatewayEgress
from worker.egress.client.client import EgressClient
from worker.egress.networks.local_addresses import closed_networks, host_networks
from worker.egress.protocol import Caps, EgressPolicy
from worker.identity import owner_name
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.options import SandboxSettings

_log = logging.getLogger("safeurl.task")


def run_scan(scan_id: str) -> None:
    """Run one attempt of the scan; what fails here is rescued once the lease has run out."""
    try:
        asyncio.run(_run(scan_id, Settings.read(os.environ)))
    except Exception:
        # A worker must survive whatever an attempt does; the child's exit status then says so.
        _log.exception("task.failed scan=%s", scan_id)
        raise


#: All that a job on the queue can make a worker call: by its name there, with a scan's id.
TASKS: Mapping[str, Callable[[str], None]] = {TASK: run_scan}


async def _run(scan_id: str, settings: Settings) -> None:
    sandbox = make_sandbox(settings)
    told = asyncio.Event()
    try:
        async with open_store(settings, migrate=False) as store:
            executor = Executor(
                store=store,
                sandbox=sandbox,
                egress=make_egress(settings),
                artefacts=make_artefacts(settings),
                limits=make_limits(settings),
                clock=utc_now,
                owner=owner_name(os.getpid()),
                is_told=told.is_set,
            )
            await _run_until_told(executor, scan_id, told)
    finally:
        await sandbox.close()


async def _run_until_told(executor: Executor, scan_id: str, told: asyncio.Event) -> None:
    """Run the attempt; SIGTERM cancels it, and then it hands its scan back before it ends.

    The job's deadline cancels it too, but does not set `told`: such an attempt was no good.
    """
    attempt = asyncio.create_task(executor.run(scan_id))

    def stop() -> None:
        # Once only: a signal that is repeated must not cut short what the first one began.
        if not told.is_set():
            told.set()
            attempt.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    try:
        await attempt
    except asyncio.CancelledError:
        _log.warning("task.stopped scan=%s", scan_id)


def learn_runtime(settings: Settings) -> None:
    """Ask the engine once for its runtimes, before forks inherit the answer; without one they ask.

    A runtime registered later is taken after the worker's next start.
    """
    try:
        choice = make_sandbox(settings).choose_runtime()
    except SandboxUnavailableError as error:
        _log.warning("task.runtime_unknown error=%r", str(error))
        return
    _log.info("task.runtime name=%s", choice.name or "default")
    if choice.warning:
        _log.warning("task.runtime_doubtful reason=%r", choice.warning)


def make_sandbox(settings: Settings) -> DockerSandbox:
    """Return the Docker room as the settings want it: one for all settings that want the same."""
    options = SandboxSettings(
        image=settings.fetcher_image,
        memory_mb=settings.container_memory_limit_mb,
        cpus=settings.container_cpu_limit,
        pids_limit=settings.container_pids_limit,
        network=settings.container_network,
        runtime=settings.container_runtime or None,
        uids=settings.uids,
        instance=settings.instance,
    )
    return _make_sandbox(options, str(settings.docker_socket_path))


@cache
def _make_sandbox(options: SandboxSettings, socket_path: str) -> DockerSandbox:
    """Return the one that may know the runtimes, and that its forks tell of a failing engine."""
    return DockerSandbox(options, socket_path)


def make_egress(settings: Settings) -> GatewayEgress | None:
    """Return the way out of sandboxes; None where they have a network of their own."""
    if settings.container_network != "none":
        return None
    most = settings.egress_max_mb * 1024 * 1024
    policy = EgressPolicy(
        allow_cidrs=settings.egress_allow_cidrs,
        deny_cidrs=settings.egress_deny_cidrs,
        allow_ports=settings.egress_allow_ports,
        deny_ports=settings.egress_deny_ports,
        dns64=settings.egress_dns64,
        allow_sni_mismatch=settings.egress_allow_sni_mismatch,
        caps=Caps(
            max_connections=settings.egress_max_connections,
            max_concurrent=settings.egress_max_concurrent,
            max_bytes_in=most,
            max_bytes_out=most,
            bytes_per_second=settings.egress_max_mb_per_second * 1024 * 1024,
        ),
    )
    return GatewayEgress(EgressClient(settings.gateway_dir), policy, instance=settings.instance)


def make_limits(settings: Settings) -> AttemptLimits:
    """Return what an attempt may take as the settings want it."""
    return AttemptLimits(
        fetch_timeout=settings.fetch_timeout,
        container_timeout=settings.container_timeout,
        attempt_timeout=settings.attempt_timeout,
        lease=settings.lease,
        max_retries=settings.max_retries,
        backoff=tuple(timedelta(seconds=pause) for pause in settings.retry_backoff_seconds),
        max_redirects=settings.max_redirects,
        max_body_bytes=settings.max_body_mb * 1024 * 1024,
        user_agent=settings.user_agent,
        allow_cidrs=settings.egress_allow_cidrs,
        deny_cidrs=_deny_cidrs(settings),
        allow_ports=settings.egress_allow_ports,
        deny_ports=settings.egress_deny_ports,
        dns64=settings.egress_dns64,
    )


def _deny_cidrs(settings: Settings) -> tuple[str, ...]:
    """Return what the fetcher must refuse besides its table.

    On the bridge it judges alone, and from in there it cannot see which networks are this host's
    or beside it.
    """
    if settings.container_network == "none":
        return settings.egress_deny_cidrs
    closed = closed_networks(host_networks(), make_policy(settings).allow)
    return (*settings.egress_deny_cidrs, *dict.fromkeys(map(str, closed)))
