"""Removing our containers that nobody owns any more, by their labels."""

import asyncio
import logging
from datetime import datetime, timedelta

from safeurl.errors import SandboxUnavailableError
from worker.sandbox import labels
from worker.sandbox.engine import ContainerGoneError, Engine, EngineClient

_log = logging.getLogger("safeurl.reaper")

#: How long after its deadline a container may still be its worker's: the deadline counts from
#: the start, and creating, starting, killing and removing each may take their own time.
GRACE = timedelta(seconds=90)


class Reaper:
    """Removes an instance's leftovers; leaves every other container alone."""

    def __init__(self, socket_path: str, instance: str) -> None:
        """Remember whose containers to look for; nothing is opened yet."""
        self._engine = Engine(socket_path)
        self._instance = instance

    async def remove_expired(self, now: datetime) -> list[str]:
        """Remove containers whose deadline and grace have passed; return their names.

        Raises `SandboxUnavailableError` when Docker does not answer.
        """
        return await asyncio.to_thread(self._remove_expired, now)

    async def remove_attempt(self, scan: str, attempt: int) -> bool:
        """Kill and remove the container of one attempt; False when there is none."""
        return await asyncio.to_thread(self._remove_attempt, scan, attempt)

    def _remove_expired(self, now: datetime) -> list[str]:
        removed = []
        with self._engine.client() as client:
            for facts in client.find(labels.instance_filter(self._instance)):
                found = labels.read(facts["Labels"])
                if found is None or found.deadline_at + GRACE > now:
                    continue
                if _try_remove(client, facts["Id"]):
                    removed.append(labels.container_name(found.scan, found.attempt))
        return removed

    def _remove_attempt(self, scan: str, attempt: int) -> bool:
        with self._engine.client() as client:
            return remove_own(client, self._instance, scan, attempt)


def remove_own(client: EngineClient, instance: str, scan: str, attempt: int) -> bool:
    """Remove the attempt's container if it exists and its labels say that it is ours."""
    try:
        facts = client.inspect(labels.container_name(scan, attempt))
    except ContainerGoneError:
        return False
    found = labels.read(facts["Config"]["Labels"])
    if found is None or (found.instance, found.scan, found.attempt) != (instance, scan, attempt):
        return False
    client.remove(facts["Id"])
    return True


def _try_remove(client: EngineClient, container_id: str) -> bool:
    try:
        client.remove(container_id)
    except SandboxUnavailableError as exc:
        # One that cannot be removed must not keep the others; the next round tries again.
        _log.warning("reaper.not_removed container=%s error=%r", container_id[:12], str(exc))
        return False
    return True
