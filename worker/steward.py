"""The steward: one process per host that signs for the worker, rescues scans and reaps."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from datetime import datetime

from safeurl.bootstrap import make_queue, open_store, utc_now
from safeurl.errors import SandboxUnavailableError, UnavailableError
from safeurl.ports import Sandbox, ScanStore
from safeurl.scan import WorkerBeat
from safeurl.settings import Settings
from worker.rescuer import Rescuer
from worker.sandbox.reaper import Reaper
from worker.tasks import make_sandbox

_log = logging.getLogger("safeurl.steward")

BEAT_INTERVAL_S = 10.0
SWEEP_INTERVAL_S = 2.0
REAP_INTERVAL_S = 15.0


async def run_steward(settings: Settings) -> None:
    """Do the duties until SIGTERM; a part that does not answer is tried again at the next turn."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    sandbox = make_sandbox(settings)
    queue = make_queue(settings)
    reaper = Reaper(str(settings.docker_socket_path), settings.instance)
    try:
        async with open_store(settings, migrate=False) as store:
            await _until_done(store.migrate, stopping)
            rescuer = Rescuer(
                store,
                queue,
                clock=utc_now,
                actor=_name(),
                max_retries=settings.max_retries,
                reap=reaper.remove_attempt,
            )
            beat = _Beat(store, sandbox, settings.worker_concurrency)
            await asyncio.gather(
                _every(BEAT_INTERVAL_S, beat.send, stopping),
                _every(SWEEP_INTERVAL_S, rescuer.sweep, stopping),
                _every(REAP_INTERVAL_S, lambda: reaper.remove_expired(utc_now()), stopping),
            )
            await beat.retire()
    finally:
        await queue.close()
        await sandbox.close()


class _Beat:
    """Tells the store that this worker lives, and how its Docker does."""

    def __init__(self, store: ScanStore, sandbox: Sandbox, concurrency: int) -> None:
        self._store = store
        self._sandbox = sandbox
        self._concurrency = concurrency
        self._started_at = utc_now()

    async def send(self) -> None:
        docker_ok, detail = await self._docker()
        await self._store.beat(self._beat(utc_now(), docker_ok=docker_ok, detail=detail))

    async def retire(self) -> None:
        """Leave the list of living workers at once."""
        try:
            await self._store.retire(_name())
        except UnavailableError as error:
            _log.warning("steward.not_retired error=%s", error)

    async def _docker(self) -> tuple[bool, str]:
        try:
            return True, await self._sandbox.ping()
        except SandboxUnavailableError as error:
            return False, str(error)

    def _beat(self, at: datetime, *, docker_ok: bool, detail: str) -> WorkerBeat:
        return WorkerBeat(
            id=_name(),
            host=socket.gethostname(),
            pid=os.getppid(),
            concurrency=self._concurrency,
            started_at=self._started_at,
            beat_at=at,
            docker_ok=docker_ok,
            docker_detail=detail,
        )


def _name() -> str:
    """Name this worker by its host and its supervisor's process."""
    return f"{socket.gethostname()}:{os.getppid()}"


async def _until_done(duty: Callable[[], Awaitable[object]], stopping: asyncio.Event) -> None:
    """Try until it works once, or until the end."""
    while not stopping.is_set() and not await _tried(duty):
        await _pause(1.0, stopping)


async def _every(
    interval_s: float, duty: Callable[[], Awaitable[object]], stopping: asyncio.Event
) -> None:
    """Do the duty now and then at this interval, until the end."""
    while not stopping.is_set():
        await _tried(duty)
        await _pause(interval_s, stopping)


async def _tried(duty: Callable[[], Awaitable[object]]) -> bool:
    try:
        await duty()
    except UnavailableError as error:
        _log.warning("steward.unavailable error=%s", error)
        return False
    return True


async def _pause(seconds: float, stopping: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
