"""`Backlog` in dictionaries."""

from collections.abc import Sequence
from datetime import datetime

from safeurl.adapters.memory.base import MemoryBase
from safeurl.model.scan import Scan
from safeurl.ports.backlog import Unreadable, ignore
from safeurl.ports.clock import CLOCK_SKEW
from safeurl.state import State


class MemoryBacklog(MemoryBase):
    """`Backlog`; see the port for the contract."""

    async def due(
        self, *, now: datetime, limit: int, on_unreadable: Unreadable = ignore
    ) -> list[Scan]:
        """Sort by `run_after`, scans with attempts first."""
        due = [scan for scan in self._scans.values() if is_due(scan, now, settled=now)]
        ordered = sorted(due, key=lambda scan: (scan.attempt == 0, scan.run_after, scan.id))
        return self._readable(ordered, on_unreadable)[:limit]

    async def leased(
        self, *, limit: int, until: datetime | None = None, on_unreadable: Unreadable = ignore
    ) -> list[Scan]:
        """Sort by `lease_until`."""
        leases = ((s.lease_until, s.id) for s in self._scans.values() if s.lease_until is not None)
        ending = sorted(lease for lease in leases if until is None or lease[0] <= until)
        held = [self._scans[scan_id] for _, scan_id in ending]
        return self._readable(held, on_unreadable)[:limit]

    def _readable(self, scans: Sequence[Scan], on_unreadable: Unreadable) -> list[Scan]:
        for scan in scans:
            if scan.id in self.unreadable:
                on_unreadable(scan.id)
        return [scan for scan in scans if scan.id not in self.unreadable]


def is_due(scan: Scan, now: datetime, *, settled: datetime) -> bool:
    """Return whether the scan may be claimed; `settled` is the latest `run_after` that is due."""
    due = scan.run_after <= settled or scan.updated_at > now + CLOCK_SKEW
    return scan.state is State.QUEUED and due
