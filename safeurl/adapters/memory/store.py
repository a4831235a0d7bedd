"""The store in the memory of this process, for tests and experiments.

It passes the same contract suite as the real stores, so it refuses everything that the database
refuses. No method awaits anything, so each runs completely or not at all.
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
        """Do nothing: there is no schema."""
        return []

    async def ping(self) -> None:
        """Do nothing: the store always works."""

    async def require_schema(self) -> None:
        """Do nothing: there is no schema."""

    async def close(self) -> None:
        """Do nothing: there is no connection."""
