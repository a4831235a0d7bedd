"""`MetricsReader` by counting."""

from datetime import datetime, timedelta

from safeurl.adapters.memory.base import MemoryBase
from safeurl.model.scan import Metrics
from safeurl.state import INFRASTRUCTURE_OUTCOMES, Outcome, State


class MemoryMetrics(MemoryBase):
    """`MetricsReader`; see the port for the contract."""

    async def metrics(self, *, now: datetime) -> Metrics:
        """Count all scans; there is no index."""
        scans = self._scans.values()
        pending = [scan.created_at for scan in scans if scan.state is State.QUEUED]
        hour_ago = _minute(now - timedelta(hours=1))
        finished = [(scan, scan.finished_at) for scan in scans if scan.finished_at is not None]
        ended = [scan for scan, at in finished if _minute(at) > hour_ago]
        completed = sum(scan.state is State.COMPLETED for scan in ended)
        cancelled = sum(scan.outcome is Outcome.CANCELLED for scan in ended)
        return Metrics(
            pending=len(pending),
            in_progress=sum(scan.lease_until is not None for scan in scans),
            recently_completed=completed,
            recently_failed=len(ended) - completed - cancelled,
            recently_cancelled=cancelled,
            recently_broken=sum(scan.outcome in INFRASTRUCTURE_OUTCOMES for scan in ended),
            oldest_pending_at=min(pending, default=None),
        )


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
