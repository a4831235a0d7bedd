"""`WorkerStore` in a dictionary."""

from datetime import datetime

from safeurl.adapters.memory.base import MemoryBase
from safeurl.model.worker import WorkerHeartbeat


class MemoryWorkers(MemoryBase):
    """`WorkerStore`; see the port for the contract."""

    async def record_heartbeat(self, heartbeat: WorkerHeartbeat) -> None:
        """Replace the previous heartbeat."""
        self._workers[heartbeat.id] = heartbeat

    async def remove_worker(self, worker_id: str) -> None:
        """Delete the entry of a worker that ends."""
        self._workers.pop(worker_id, None)

    async def forget_workers(self, *, silent_since: datetime) -> None:
        """Delete the workers whose last heartbeat is older."""
        silent = [each.id for each in self._workers.values() if each.beat_at < silent_since]
        for worker_id in silent:
            await self.remove_worker(worker_id)

    async def workers(self, *, since: datetime) -> list[WorkerHeartbeat]:
        """Sort by heartbeat, newest first."""
        known = sorted(self._workers.values(), key=lambda each: each.id)
        fresh = [each for each in known if each.beat_at >= since]
        return sorted(fresh, key=lambda each: each.beat_at, reverse=True)
