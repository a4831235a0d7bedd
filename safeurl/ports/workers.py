"""The list of living workers."""

from datetime import datetime
from typing import Protocol

from safeurl.model.worker import WorkerHeartbeat


class HeartbeatStore(Protocol):
    """Keeps one worker's entry in the list."""

    async def record_heartbeat(self, heartbeat: WorkerHeartbeat) -> None:
        """Record a worker's heartbeat, over its last one."""

    async def remove_worker(self, worker_id: str) -> None:
        """Remove a worker that ends; nothing happens when it is not known."""


class WorkerList(Protocol):
    """Lists the workers of all hosts."""

    async def workers(self, *, since: datetime) -> list[WorkerHeartbeat]:
        """Return the workers whose last heartbeat came at or after that time.

        Rows that cannot be read are left out.
        """


class WorkerStore(HeartbeatStore, WorkerList, Protocol):
    """All about workers."""

    async def forget_workers(self, *, silent_since: datetime) -> None:
        """Remove the workers whose last heartbeat is older than that time."""
