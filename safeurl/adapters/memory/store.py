"""The shipped fake of the store, in this process's memory, gone when it ends.

For tests and trials; it passes the same contract suite as the real stores, so what the database
refuses is refused here too. Every method runs without awaiting, hence all of it or nothing.
"""

from safeurl.adapters.memory.attempts import MemoryAttempts
from safeurl.adapters.memory.audit import MemoryAuditTrail, MemoryLedger
from safeurl.adapters.memory.backlog import MemoryBacklog
from safeurl.adapters.memory.metrics import MemoryMetrics
from safeurl.adapters.memory.scans import MemoryScans
from safeurl.adapters.memory.view import MemoryViews
from safeurl.adapters.memory.workers import MemoryWorkers


class MemoryStore(
    MemoryScans,
    MemoryViews,
    MemoryAttempts,
    MemoryBacklog,
    MemoryWorkers,
    MemoryMetrics,
    MemoryAuditTrail,
    MemoryLedger,
):
    """`Store` in dictionaries."""

    async def migrate(self) -> list[int]:
        """Have no schema to migrate."""
        return []

    async def ping(self) -> None:
        """Answer always."""

    async def require_schema(self) -> None:
        """Have no schema that could be missing."""

    async def close(self) -> None:
        """Hold nothing that needs releasing."""
