"""Turns a claimed member of the pool into the sandbox of an attempt."""

import asyncio
import logging
from pathlib import Path

from safeurl.model.sandbox import StartKind
from worker.cancellation import await_uncancelled
from worker.sandbox import labels
from worker.sandbox.engine import Engine
from worker.sandbox.options import SandboxSettings
from worker.sandbox.pool.client import HandedMember, PoolClient
from worker.sandbox.pool.key import pool_key
from worker.sandbox.prepare import StartedContainer, remove_container
from worker.sandbox.started import StartedSandbox

_log = logging.getLogger("safeurl.pool")


class WarmStarter:
    """Claims sandboxes of this host's pool; may be used after a fork."""

    def __init__(self, directory: Path, settings: SandboxSettings) -> None:
        """Take the pool's folder, and what the sandboxes must be made from."""
        self._client = PoolClient(directory)
        self._key = pool_key(settings)

    async def claim(self, scan: str, attempt: int, engine: Engine) -> StartedSandbox | None:
        """Return a sandbox that was started ahead, or None; whatever fails, it does not raise."""
        work = asyncio.ensure_future(
            asyncio.to_thread(self._client.claim, self._key, scan, attempt)
        )
        try:
            handed = await asyncio.shield(work)
        except asyncio.CancelledError:
            if isinstance(late := await await_uncancelled(work), HandedMember):
                # Not released but given up: then the pool also removes its gateway socket.
                late.give_up()
            raise
        if not isinstance(handed, HandedMember):
            _log.info("pool.missed scan=%s reason=%s", scan, handed)
            return None
        return _started(handed, labels.container_name(scan, attempt), engine)


def _started(handed: HandedMember, name: str, engine: Engine) -> StartedSandbox:
    def remove() -> None:
        # A pool that does not confirm may be gone, or the engine may be slow: the worker asks it.
        if not handed.release():
            remove_container(engine, handed.container_id)

    container = StartedContainer(
        id=handed.container_id,
        name=name,
        started_at=handed.started_at,
        attached=handed.attached,
    )
    return StartedSandbox(
        container,
        engine=engine,
        remove=remove,
        endpoint=handed.endpoint,
        start_kind=StartKind.WARM,
    )
