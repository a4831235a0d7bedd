"""Removes our containers whose attempt has ended, by their labels and names.

A sandbox of the warm pool has no label of an attempt. Once it is claimed, its name shows the
attempt; before that the pool takes care of it. What a pool has left behind, and no living pool
knows, is removed as well.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from safeurl.errors import SandboxUnavailableError
from safeurl.ports.clock import Clock
from worker.sandbox import labels
from worker.sandbox.engine import ContainerGoneError, Engine, EngineClient
from worker.sandbox.pool.client import PoolClient
from worker.sandbox.pool.leftovers import leftovers, listed_name

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
    name: str
    created_at: datetime
    labels: labels.SandboxLabels
    #: The attempt that has it; None if there is none (yet).
    attempt: tuple[str, int] | None


class Reaper:
    """Removes the remaining containers of one instance, and no others."""

    def __init__(self, socket_path: str, instance: str, pool: PoolClient | None = None) -> None:
        """Take the engine's socket, the instance and this host's pool; nothing is opened yet."""
        self._engine = Engine(socket_path)
        self._instance = instance
        self._pool = pool

    async def sweep(
        self, clock: Clock, is_over: IsOver, *, min_age: timedelta = MIN_AGE
    ) -> list[str]:
        """Remove containers past their deadline and those of attempts that have ended.

        Returns their names; raises `SandboxUnavailableError` if Docker does not respond. With a
        `min_age` of zero, containers of any age are removed, which is right where no worker is left
        that may be about to remove them itself.
        """
        found = await asyncio.to_thread(self._list)
        # Read after the list: with an earlier time, a container that was created meanwhile would
        # have a negative age.
        now = clock()
        expired = [each for each in found if each.labels.deadline_at + GRACE <= now]
        # First, and without the database, which may be unavailable.
        removed = await self._remove_all(expired)
        over = [
            each
            for each in found
            if each not in expired
            and not _is_young(each, now, min_age)
            and await _is_over(each, is_over)
        ]
        removed += await self._remove_all(over)
        return removed + await asyncio.to_thread(self._remove_leftovers, now - MIN_AGE)

    async def _remove_all(self, found: list[_Found]) -> list[str]:
        return await asyncio.to_thread(self._remove, found) if found else []

    async def remove_attempt(self, scan: str, attempt: int) -> bool:
        """Kill and remove the container of one attempt; return False if there is none."""
        return await asyncio.to_thread(self._remove_attempt, scan, attempt)

    def _list(self) -> list[_Found]:
        with self._engine.client() as client:
            listed = client.find(labels.instance_filter(self._instance))
        return [
            _found(facts, read)
            for facts in listed
            if (read := labels.read(facts["Labels"])) is not None
        ]

    def _remove(self, found: list[_Found]) -> list[str]:
        with self._engine.client() as client:
            return [each.name for each in found if _try_remove(client, each.container_id)]

    def _remove_leftovers(self, before: datetime) -> list[str]:
        """Remove old containers of this host's pools that no living pool takes care of."""
        pool_id = self._pool.pool_id() if self._pool is not None else None
        if self._pool is None or pool_id is None:
            return []
        with self._engine.client() as client:
            found = leftovers(client, self._instance, pool_id, before=before)
            # Asked after the list: a member that is claimed meanwhile is not removed by its name.
            kept = self._pool.names() if found else None
            if kept is None:
                return []
            return [name for name in found if name not in kept and _try_remove(client, name)]

    def _remove_attempt(self, scan: str, attempt: int) -> bool:
        with self._engine.client() as client:
            return remove_own(client, self._instance, scan, attempt)


def _found(facts: dict[str, Any], read: labels.SandboxLabels) -> _Found:
    name = listed_name(facts)
    if read.scan is not None and read.attempt is not None:
        attempt: tuple[str, int] | None = (read.scan, read.attempt)
        # Without a name the engine is removing it already.
        name = name or labels.container_name(read.scan, read.attempt)
    else:
        attempt = labels.attempt_of(name)
    return _Found(facts["Id"], name, datetime.fromtimestamp(facts["Created"], UTC), read, attempt)


def _is_young(found: _Found, now: datetime, min_age: timedelta) -> bool:
    # A negative age means that the clock was set back; such a container is not young.
    return timedelta(0) <= now - found.created_at < min_age


async def _is_over(found: _Found, is_over: IsOver) -> bool:
    if found.labels.role != labels.ROLE_SANDBOX or found.attempt is None:
        return False
    return await is_over(*found.attempt)


def remove_own(client: EngineClient, instance: str, scan: str, attempt: int) -> bool:
    """Remove the attempt's container if it exists and its labels are ours."""
    try:
        facts = client.inspect(labels.container_name(scan, attempt))
    except ContainerGoneError:
        return False
    found = labels.read(facts["Config"]["Labels"])
    if found is None or found.instance != instance:
        return False
    # A sandbox of the pool shows its attempt by the name alone, by which it was found.
    if found.pool is None and (found.scan, found.attempt) != (scan, attempt):
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
