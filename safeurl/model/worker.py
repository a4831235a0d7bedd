"""The heartbeat of a worker: that it lives, and which parts of its host work."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PartStatus:
    """Whether one part of a worker's host works."""

    ok: bool
    #: Why it does not, in one sentence; empty where it works.
    reason: str = ""


#: A part that works, or that the settings do not use.
WORKING = PartStatus(ok=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerParts:
    """What a worker needs on its host."""

    #: The engine answers.
    docker: PartStatus = WORKING
    #: The engine has the fetcher's image. Not ok where the engine does not answer.
    image: PartStatus = WORKING
    #: The egress gateway answers, or is not used.
    gateway: PartStatus = WORKING
    #: The disk of the state folder has space left.
    disk: PartStatus = WORKING


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerHeartbeat:
    """A worker's last heartbeat (a `workers` row)."""

    id: str
    host: str
    pid: int
    concurrency: int
    started_at: datetime
    #: When it was sent.
    beat_at: datetime
    #: The engine's version; empty where the engine does not answer.
    docker_version: str
    parts: WorkerParts
    #: Space left on the disk of the state folder.
    disk_free_bytes: int
