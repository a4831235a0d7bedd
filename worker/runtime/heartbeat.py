"""A worker's heartbeat: it shows that the worker runs, and which parts of its host work."""

import asyncio
import logging
import os
import shutil
import socket
from collections.abc import Awaitable, Callable

from safeurl.bootstrap import utc_now
from safeurl.errors import EgressUnavailableError, SandboxUnavailableError, UnavailableError
from safeurl.model.worker import (
    WORKING,
    PartStatus,
    WarmPool,
    WorkerHeartbeat,
    WorkerParts,
)
from safeurl.ports.sandbox import Sandbox
from safeurl.ports.workers import HeartbeatStore
from safeurl.services.health import LOW_DISK_BYTES
from safeurl.settings import Settings
from worker.egress.client.client import EgressClient
from worker.sandbox.pool.client import PoolClient

_log = logging.getLogger("safeurl.beat")

HEARTBEAT_INTERVAL_S = 10.0
#: A gateway that does not answer is asked once more after this time: it may just be starting.
_GATEWAY_START_S = 3.0
_MEBIBYTE = 1024**2

#: Asks the gateway for an answer, or raises `EgressUnavailableError`.
PingGateway = Callable[[], Awaitable[object]]


class Heartbeat:
    """Records that this worker lives, and how the parts of its host do."""

    def __init__(  # noqa: PLR0913 - one keyword per part that it checks
        self,
        settings: Settings,
        store: HeartbeatStore,
        sandbox: Sandbox,
        name: str,
        *,
        ping_gateway: PingGateway | None = None,
        gateway_start_s: float = _GATEWAY_START_S,
    ) -> None:
        """Take `name`, that of the worker, which is the parent of this process and starts now."""
        self._settings = settings
        self._store = store
        self._sandbox = sandbox
        self._name = name
        self._ping_gateway = ping_gateway or EgressClient(settings.gateway_dir).ping
        self._gateway_start_s = gateway_start_s
        self._pid = os.getppid()
        self._started_at = utc_now()

    async def send(self) -> None:
        """Ask all parts and record one heartbeat, over the last one."""
        (version, docker, image), gateway, (free_bytes, disk), pool = await asyncio.gather(
            self._docker_and_image(), self._gateway(), self._disk(), self._pool()
        )
        await self._store.record_heartbeat(
            WorkerHeartbeat(
                id=self._name,
                host=socket.gethostname(),
                pid=self._pid,
                concurrency=self._settings.worker_concurrency,
                started_at=self._started_at,
                beat_at=utc_now(),
                docker_version=version,
                parts=WorkerParts(
                    docker=docker, image=image, gateway=gateway, disk=disk, pool=pool
                ),
                disk_free_bytes=free_bytes,
            )
        )

    async def remove(self) -> None:
        """Remove the worker from the list; a database that does not answer is only logged."""
        try:
            await self._store.remove_worker(self._name)
        except UnavailableError as error:
            _log.warning("beat.not_retired error=%s", error)

    async def _docker_and_image(self) -> tuple[str, PartStatus, PartStatus]:
        """Return the version of the engine, and whether it works and has the image."""
        try:
            version = await self._sandbox.ping()
        except SandboxUnavailableError as error:
            failed = _failed(error)
            return "", failed, failed
        try:
            await self._sandbox.check_image()
        except SandboxUnavailableError as error:
            return version, WORKING, _failed(error)
        return version, WORKING, WORKING

    async def _gateway(self) -> PartStatus:
        if self._settings.container_network != "none":
            return WORKING
        try:
            try:
                await self._ping_gateway()
            except EgressUnavailableError:
                await asyncio.sleep(self._gateway_start_s)
                await self._ping_gateway()
        except EgressUnavailableError as error:
            return _failed(error)
        return WORKING

    async def _pool(self) -> WarmPool | None:
        if not self._settings.has_pool:
            return None
        facts = await asyncio.to_thread(PoolClient(self._settings.pool_dir).facts)
        if facts is None:
            return None
        return WarmPool(
            size=facts.size,
            target=facts.target,
            hits=facts.hits,
            misses=sum(facts.misses.values()),
            failed_starts=facts.failed_starts,
        )

    async def _disk(self) -> tuple[int, PartStatus]:
        """Return the space that is left for the state folder, and whether it is enough."""
        folder = self._settings.state_dir
        try:
            # In a thread: a network file system may not answer.
            free_bytes = (await asyncio.to_thread(shutil.disk_usage, folder)).free
        except OSError as error:
            reason = f"{folder} cannot be used: {error.strerror}."
            return 0, PartStatus(ok=False, reason=reason, is_readable=False)
        if free_bytes < LOW_DISK_BYTES:
            left = f"The disk of the state folder has {free_bytes // _MEBIBYTE} MiB left."
            return free_bytes, PartStatus(ok=False, reason=left)
        return free_bytes, WORKING


def _failed(error: UnavailableError) -> PartStatus:
    return PartStatus(ok=False, reason=str(error))
