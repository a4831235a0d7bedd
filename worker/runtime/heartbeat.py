"""A worker's sign of life: that it runs, how its Docker does, how much disk is left."""

import asyncio
import logging
import os
import shutil
import socket
from datetime import datetime

from safeurl.bootstrap import utc_now
from safeurl.errors import EgressUnavailableError, SandboxUnavailableError, UnavailableError
from safeurl.model.scan import WorkerBeat
from safeurl.ports.sandbox import Sandbox
from safeurl.ports.workers import HeartbeatStore
from safeurl.settings import Settings
from worker.egress.client.client import EgressClient

_log = logging.getLogger("safeurl.beat")

HEARTBEAT_INTERVAL_S = 10.0
#: A gateway that has just begun, or begins anew, is not told of.
_GATEWAY_STARTS_S = 3.0


class Heartbeat:
    """Tells the store that this worker lives, and how its host does."""

    def __init__(
        self, settings: Settings, store: HeartbeatStore, sandbox: Sandbox, name: str
    ) -> None:
        """Count from now; the worker is the parent of this process."""
        self._settings = settings
        self._store = store
        self._sandbox = sandbox
        self._name = name
        self._pid = os.getppid()
        self._started_at = utc_now()

    async def send(self) -> None:
        """Beat once, over the last one."""
        docker_ok, detail = await self._docker()
        await self._store.record_heartbeat(
            self._make(utc_now(), docker_ok=docker_ok, detail=detail)
        )

    async def remove(self) -> None:
        """Leave the list of living workers at once."""
        try:
            await self._store.remove_worker(self._name)
        except UnavailableError as error:
            _log.warning("beat.not_retired error=%s", error)

    async def _docker(self) -> tuple[bool, str]:
        try:
            version = await self._sandbox.ping()
            if self._settings.container_network == "none":
                await self._ask_gateway()
        except (SandboxUnavailableError, EgressUnavailableError) as error:
            return False, str(error)
        return True, version

    async def _ask_gateway(self) -> None:
        gateway = EgressClient(self._settings.gateway_dir)
        try:
            await gateway.ping()
        except EgressUnavailableError:
            await asyncio.sleep(_GATEWAY_STARTS_S)
            await gateway.ping()

    def _make(self, at: datetime, *, docker_ok: bool, detail: str) -> WorkerBeat:
        return WorkerBeat(
            id=self._name,
            host=socket.gethostname(),
            pid=self._pid,
            concurrency=self._settings.worker_concurrency,
            started_at=self._started_at,
            beat_at=at,
            docker_ok=docker_ok,
            docker_detail=detail,
            disk_free_bytes=shutil.disk_usage(self._settings.state_dir).free,
        )
