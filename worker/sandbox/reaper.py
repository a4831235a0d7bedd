"""Removes our containers whose attempt has ended, by their labels."""

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

#: How long after its deadline a worker may still handle its container: the deadline counts from the
#: start, and creating, starting, killing and removing take time too.
GRACE = timedelta(seconds=90)

#: Younger containers are left alone: the database may not show their attempt as running yet, or the
#: attempt has just ended and its worker is about to remove the container.
MIN_AGE = timedelta(seconds=15)

#: Asks the database whether a scan's attempt has ended.
IsOver = Callable[[str, int], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class _Found:
    """One of our containers, as Docker lists it."""

    container_id: str
    created_at: datetime
    labels: labels.SandboxLabels


class Reaper:
    """Removes the remaining containers of one instance, and no others."""

    def __init__(self, socket_path: str, instance: str) -> None:
        """Take the engine's socket and the instance; nothing is opened yet."""
        self._engine = Engine(socket_path)
        self._instance = instance

    async def sweep(self, clock: Clock, is_over: IsOver) -> list[str]:
        """Remove containers past their deadline and those of attempts that have ended.

        Returns their names; raises `SandboxUnavailableError` if Docker does not respond.
        """
        found = await asyncio.to_thread(self._list)
        # Read after the list: with an earlier time, a container that was created meanwhile would
        # have a negative age.
        now = clock()
        expired = [each for each in found if each.labels.deadline_at + GRACE <= now]
        # First, and without the database, which may be unavailable.
        removed = await self._remove_all(expired)
        over = [
            each for each in found if each not in expired and await _is_over(each, now, is_over)
        ]
        return removed + await self._remove_all(over)

    async def _remove_all(self, found: list[_Found]) -> list[str]:
        return await asyncio.to_thread(self._remove, found) if found else []

    async def remove_attempt(self, scan: str, attempt: int) -> bool:
        """Kill and remove the container of one attempt; return False if there is none."""
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
    # A negative age means that the clock was set back; such a container is not young.
    is_young = timedelta(0) <= now - found.created_at < MIN_AGE
    if found.labels.role != labels.ROLE_SANDBOX or is_young:
        return False
    return await is_over(found.labels.scan, found.labels.attempt)


def remove_own(client: EngineClient, instance: str, scan: str, attempt: int) -> bool:
    """Remove the attempt's container if it exists and its labels are ours."""
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
        # This failure must not prevent the other removals; the next sweep tries again.
        _log.warning("reaper.not_removed container=%s error=%r", container_id[:12], str(exc))
        return False
    return True
