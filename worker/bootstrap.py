"""Wiring: from settings to the parts of a worker. Nothing here runs at import."""

import logging
from datetime import timedelta
from functools import cache
from pathlib import Path

import msgspec

from safeurl.address import PolicyOverrides
from safeurl.bootstrap import make_policy
from safeurl.errors import SandboxUnavailableError
from safeurl.settings import Settings
from worker.attempt.limits import AttemptLimits
from worker.egress.client.adapter import GatewayEgress
from worker.egress.client.client import EgressClient
from worker.egress.networks.local_addresses import closed_networks, host_networks
from worker.egress.protocol import Caps, EgressPolicy
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.options import SandboxSettings
from worker.sandbox.pool.process import PoolConfig

_log = logging.getLogger("safeurl.task")


def learn_runtime(settings: Settings) -> None:
    """Ask the engine for its runtimes once, before the worker forks; each fork keeps the answer.

    If the engine does not answer, each fork asks it. A runtime that is registered later is used
    after the worker's next start.
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
    """Return the sandbox that the settings describe: the same object for equal settings."""
    pool_dir = settings.pool_dir if settings.has_pool else None
    return _make_sandbox(_options(settings), str(settings.docker_socket_path), pool_dir)


def _options(settings: Settings) -> SandboxSettings:
    return SandboxSettings(
        image=settings.fetcher_image,
        memory_mb=settings.container_memory_limit_mb,
        cpus=settings.container_cpu_limit,
        pids_limit=settings.container_pids_limit,
        network=settings.container_network,
        runtime=settings.container_runtime or None,
        uids=settings.uids,
        instance=settings.instance,
    )


def make_pool(settings: Settings) -> PoolConfig:
    """Return what the process of the warm pool is started with."""
    return PoolConfig(
        directory=settings.pool_dir,
        docker_socket=str(settings.docker_socket_path),
        gateway_dir=settings.gateway_dir,
        sandbox=_options(settings),
        size=settings.fixed_pool_size,
        ttl_s=settings.pool_member_seconds,
        attempt_s=settings.attempt_timeout.total_seconds(),
        concurrency=settings.worker_concurrency,
    )


@cache
def _make_sandbox(
    options: SandboxSettings, socket_path: str, pool_dir: Path | None
) -> DockerSandbox:
    """Return the one object of the process, which the worker's forks share.

    It holds the engine's runtimes, and the circuit breaker that all forks report to.
    """
    return DockerSandbox(options, socket_path, pool_dir=pool_dir)


def make_egress(settings: Settings) -> GatewayEgress | None:
    """Return the adapter for the egress gateway; None if sandboxes use Docker's bridge."""
    if settings.container_network != "none":
        return None
    max_bytes = settings.egress_max_mb * 1024 * 1024
    policy = EgressPolicy(
        **msgspec.structs.asdict(settings.policy_overrides),
        allow_sni_mismatch=settings.egress_allow_sni_mismatch,
        caps=Caps(
            max_connections=settings.egress_max_connections,
            max_concurrent=settings.egress_max_concurrent,
            max_bytes_in=max_bytes,
            max_bytes_out=max_bytes,
            bytes_per_second=settings.egress_max_mb_per_second * 1024 * 1024,
        ),
    )
    return GatewayEgress(EgressClient(settings.gateway_dir), policy, instance=settings.instance)


def make_limits(settings: Settings) -> AttemptLimits:
    """Return the limits of an attempt."""
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
        policy=_fetcher_overrides(settings),
    )


def _fetcher_overrides(settings: Settings) -> PolicyOverrides:
    """Return the exceptions that the fetcher applies.

    On Docker's bridge the fetcher alone refuses addresses, and it cannot see the host's own
    networks. The worker lists them for it as denied ranges.
    """
    overrides = settings.policy_overrides
    if settings.container_network == "none":
        return overrides
    closed = closed_networks(host_networks(), make_policy(settings).allow)
    deny_cidrs = (*overrides.deny_cidrs, *dict.fromkeys(map(str, closed)))
    return msgspec.structs.replace(overrides, deny_cidrs=deny_cidrs)
