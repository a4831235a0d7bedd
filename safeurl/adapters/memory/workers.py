"""`WorkerStore` in a dictionary."""

from datetime import datetime

from safeurl.adapters.memory.base import MemoryBase
from safeurl.model.scan import WorkerBeat


class MemoryWorkers(MemoryBase):
    """`WorkerStore`; the contract stands on the port."""

    async def record_heartbeat(self, beat: WorkerBeat) -> None:
        """Overwrite the last one."""
        self._workers[beat.id] = beat

    async def remove_worker(self, worker_id: str) -> None:
        """Forget a worker that ends."""
        self._workers.pop(worker_id, None)

    async def forget_workers(self, *, silent_since: datetime) -> None:
        """Forget those whose last beat is older."""
        silent = [beat.id for beat in self._workers.values() if beat.beat_at < silent_since]
        for worker_id in silent:
            await self.remove_worker(worker_id)

    async def workers(self, *, since: datetime) -> list[WorkerBeat]:
        """Put the freshest first."""
        heard = sorted(self._workers.values(), key=lambda beat: beat.id)
        fresh = [beat for beat in heard if beat.beat_at >= since]
        return sorted(fresh, key=lambda beat: beat.beat_at, reverse=True)
