"""Reads the facts for health from the database and the queue, never from Docker."""

from dataclasses import asdict, fields, replace
from datetime import datetime
from typing import Any, Protocol

from safeurl.errors import QueueUnavailableError, StoreAbsentError, UnavailableError
from safeurl.model.worker import PartStatus, WarmPool, WorkerHeartbeat, WorkerParts
from safeurl.ports.backlog import Backlog
from safeurl.ports.metrics import MetricsReader
from safeurl.ports.queue import WakeQueue
from safeurl.ports.schema import StorePing
from safeurl.ports.workers import WorkerList
from safeurl.printable import clean, counted
from safeurl.services.health import LOST_MEMORY, WORKER_SILENCE, Disk, Health, LocalSystem, Part

#: The number of scans of each kind that health reads to find unreadable rows.
_LOOK = 10
#: The longest host name of DNS has 253 characters.
_MAX_NAME = 255
#: A sentence or two; the texts of Docker's errors have no limit.
_MAX_REASON = 600
#: More sandboxes than any pool starts; other programs read such a number exactly.
_MAX_COUNT = 10**9


class HealthStore(StorePing, WorkerList, MetricsReader, Backlog, Protocol):
    """The parts of the database that health needs."""


async def read_health(
    store: HealthStore,
    queue: WakeQueue,
    *,
    now: datetime,
    disk: Disk | None,
    system: LocalSystem,
) -> Health:
    """Return the health; a part that does not work raises no error."""
    try:
        await store.ping()
        known = [_bounded(each) for each in await store.workers(since=now - LOST_MEMORY)]
        metrics = await store.metrics(now=now)
        unreadable = await _unreadable(store, now)
        database = Part(ok=True, detail="The database answers.")
    except UnavailableError as error:
        is_absent = isinstance(error, StoreAbsentError)
        database = Part(ok=False, detail=str(error), is_absent=is_absent)
        known, metrics, unreadable = [], None, ()
    queue_part, refused = await read_queue(queue)
    silent_since = now - WORKER_SILENCE
    return Health(
        at=now,
        database=database,
        queue=queue_part,
        refused_jobs=refused,
        unreadable=unreadable,
        workers=tuple(each for each in known if each.beat_at >= silent_since),
        silent=tuple(each for each in known if each.beat_at < silent_since),
        metrics=metrics,
        disk=disk,
        system=system,
    )


async def read_queue(queue: WakeQueue) -> tuple[Part, int]:
    """Return whether the queue works, and how many of its jobs were refused in the last hour."""
    try:
        waiting = await queue.ping()
        refused = await queue.refused()
    except UnavailableError as error:
        is_embedded = isinstance(error, QueueUnavailableError) and error.is_embedded
        return Part(ok=False, detail=str(error), is_embedded=is_embedded), 0
    wait = counted(waiting, "wake-up waits", "wake-ups wait")
    return Part(ok=True, detail=f"The queue answers; {wait}."), refused


def _bounded(beat: WorkerHeartbeat) -> WorkerHeartbeat:
    """Return the heartbeat with each text as one short line, because the row may be forged."""
    # Any: the other parts are of other types, and hold no text.
    parts: dict[str, Any] = {
        field.name: replace(part, reason=clean(part.reason, _MAX_REASON))
        for field in fields(WorkerParts)
        for part in [getattr(beat.parts, field.name)]
        if isinstance(part, PartStatus)
    }
    return replace(
        beat,
        host=clean(beat.host, _MAX_NAME),
        docker_version=clean(beat.docker_version, _MAX_NAME),
        parts=replace(beat.parts, **parts, pool=_bounded_pool(beat.parts.pool)),
    )


def _bounded_pool(pool: WarmPool | None) -> WarmPool | None:
    """Return the pool with numbers that programs can read; JSON sets no limit to those of a row."""
    if pool is None:
        return None
    counts = {name: min(max(count, 0), _MAX_COUNT) for name, count in asdict(pool).items()}
    return replace(pool, **counts)


async def _unreadable(store: Backlog, now: datetime) -> tuple[str, ...]:
    """Return the scans that cannot be read, of those that are due next or leased.

    A scan that no worker can claim stays among these.
    """
    found: list[str] = []
    await store.due(now=now, limit=_LOOK, on_unreadable=found.append)
    await store.leased(limit=_LOOK, on_unreadable=found.append)
    return tuple(found)
