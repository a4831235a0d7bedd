"""The heartbeat of a worker, with the parts of its host that work."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PartStatus:
    """The status of one part of a worker's host."""

    ok: bool
    #: The reason for the failure in one sentence; empty if the part works.
    reason: str = ""
    #: False if nothing could be measured, so that the numbers beside it have no meaning.
    is_readable: bool = True


#: The status of a part that works, or that the settings do not use.
WORKING = PartStatus(ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmPool:
    """The sandboxes that a worker's host has started ahead; counted since the pool's start."""

    #: Those that are ready now, and how many there should be.
    size: int
    target: int
    #: Attempts that got one, and those that started one themselves.
    hits: int
    misses: int
    #: Sandboxes that could not be started ahead.
    failed_starts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerParts:
    """The status of the parts that a worker needs on its host."""

    #: The engine answers.
    docker: PartStatus = WORKING
    #: The engine has the fetcher's image. Not ok if the engine does not answer.
    image: PartStatus = WORKING
    #: The egress gateway answers, or is not used.
    gateway: PartStatus = WORKING
    #: The disk of the state folder has free space.
    disk: PartStatus = WORKING
    #: None where the host has no pool, or where the pool does not answer.
    pool: WarmPool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerHeartbeat:
    """A worker's last heartbeat (a `workers` row)."""

    id: str
    host: str
    pid: int
    concurrency: int
    started_at: datetime
    #: The time at which it was sent.
    beat_at: datetime
    #: The engine's version; empty if the engine does not answer.
    docker_version: str
    parts: WorkerParts
    #: The free space on the disk of the state folder; 0 if the folder is not readable.
    disk_free_bytes: int
