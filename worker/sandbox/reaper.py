"""Removing our containers that nobody owns any more, by their labels."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from safeurl.errors import SandboxUnavailableError
from safeurl.ports.clock import Clock
from worker.sandbox import labels
from worker.sandbox.engine import ContainerGoneError, Engine, EngineClient

_log = logging.getLogger("safeurl.reaper")

#: How long after its deadline a container may still be its worker's: the deadline counts from
#: the start, and creating, starting, killing and removing each may take their own time.
GRACE = timedelta(seconds=90)

#: How long after its creation a container's attempt may be not yet, or no longer, on record while
#: its own worker still deals with it.
YOUTH = timedelta(seconds=15)

#: Tells whether a scan's attempt is over, from the database.
IsOver = Callable[[str, int], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class _Found:
    """One of our containers, as listed."""

    container_id: str
    created_at: datetime
    labels: labels.SandboxLabels


class Reaper:
    """Removes an instance's leftovers; leaves every other container alone."""

    def __init__(self, socket_path: str, instance: str) -> None:
        """Remember whose containers to look for; nothing is opened yet."""
        self._engine = Engine(socket_path)
        self._instance = instance

    async def sweep(self, clock: Clock, is_over: IsOver) -> list[str]:
        """Remove containers past their deadline and those of attempts that are over.

        Returns their names; raises `SandboxUnavailableError` when Docker does not answer.
        """
        found = await asyncio.to_thread(self._list)
        # After the list: by an earlier time, what was made meanwhile would be from the future,
        # hence not young.
        now = clock()
        expired = [each for each in found if each.labels.deadline_at + GRACE <= now]
        # First and without the database, which may be away.
        removed = await self._remove_all(expired)
        over = [
            each for each in found if each not in expired and await _is_over(each, now, is_over)
        ]
        return removed + await self._remove_all(over)

    async def _remove_all(self, found: list[_Found]) -> list[str]:
        return await asyncio.to_thread(self._remove, found) if found else []

    async def remove_attempt(self, scan: str, attempt: int) -> bool:
        """Kill and remove the container of one attempt; False when there is none."""
        return await asyncio.to_thread(self._remove_attempt, scan, attempt)

    def _list(self) -> list[_Found]:
        with self._engine.client() as client:
            listed = client.find(labels.instance_filter(self._instance))
        return [
            _Found(facts["Id"], datetime.fromtimestamp(facts["Created"], UTC), read)
            for facts in listed
            if (read := labels.read(facts["Labels"])) is not None
        ]

    def _remove(self, found: list[_Found]) -> list[str]:
        with self._engine.client() as client:
            return [
                labels.container_name(each.labels.scan, each.labels.attempt)
                for each in found
                if _try_remove(client, each.container_id)
            ]

    def _remove_attempt(self, scan: str, attempt: int) -> bool:
        with self._engine.client() as client:
            return remove_own(client, self._instance, scan, attempt)


async def _is_over(found: _Found, now: datetime, is_over: IsOver) -> bool:
    # One that is older than its own age can be was made before the clock was set back.
    is_young = timedelta(0) <= now - found.created_at < YOUTH
    if found.labels.role != labels.ROLE_SANDBOX or is_young:
        return False
    return await is_over(found.labels.scan, found.labels.attempt)


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
