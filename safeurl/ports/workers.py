"""The list of the workers and their heartbeats."""

from datetime import datetime
from typing import Protocol

from safeurl.model.worker import WorkerHeartbeat


class HeartbeatStore(Protocol):
    """Keeps one worker's entry in the list."""

    async def record_heartbeat(self, heartbeat: WorkerHeartbeat) -> None:
        """Record a worker's heartbeat; it replaces the previous one."""

    async def remove_worker(self, worker_id: str) -> None:
        """Remove a worker that ends; do nothing if it is not known."""


class WorkerList(Protocol):
    """Lists the workers of all hosts."""

    async def workers(self, *, since: datetime) -> list[WorkerHeartbeat]:
        """Return the workers whose last heartbeat is at or after this time.

        Rows that cannot be read are left out.
        """


class WorkerStore(HeartbeatStore, WorkerList, Protocol):
    """All operations on the list of workers."""

    async def forget_workers(self, *, silent_since: datetime) -> None:
        """Remove the workers whose last heartbeat is before this time."""
