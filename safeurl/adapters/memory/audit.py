"""`AuditTrail` and `AuditLedger` in lists."""

import msgspec

from safeurl.adapters.memory.base import MemoryBase
from safeurl.adapters.sql.rows import columns
from safeurl.model.audit import NO_SEAL, AttemptRow, AuditRow, SchemaFault, Seal, Trail
from safeurl.model.scan import AuditEntry, Scan


class MemoryAuditTrail(MemoryBase):
    """`AuditTrail`; see the port for the contract."""

    async def audit(self, scan_id: str) -> list[AuditEntry]:
        """Return the lines in the order of writing."""
        return [entry for entry in self._audit if entry.scan_id == scan_id]


class MemoryLedger(MemoryBase):
    """`AuditLedger` with the rows of this store, of which none are ever deleted."""

    def __init__(self) -> None:
        """Create an empty list of seals."""
        super().__init__()
        self._seals: list[Seal] = []

    async def rows(self, *, after: int, limit: int) -> list[AuditRow]:
        """Return a slice, because ids count from 1."""
        start = max(after, 0)
        return [_row(entry) for entry in self._audit[start : start + limit]]

    async def trails(self, *, after: str, limit: int) -> list[Trail]:
        """Search all rows for each scan."""
        ids = sorted(scan_id for scan_id in self._scans if scan_id > after)
        return [self._trail(self._scans[scan_id]) for scan_id in ids[:limit]]

    async def seals(self, *, after: int, limit: int) -> list[Seal]:
        """Return a slice, because numbers count from 1."""
        start = max(after, 0)
        return self._seals[start : start + limit]

    async def last_seal(self) -> Seal | None:
        """Return the last seal of the list."""
        return self._seals[-1] if self._seals else None

    async def seal(self, seal: Seal) -> bool:
        """Append the seal if it follows the last one; ignore an equal seal."""
        if self._seals and self._seals[-1] == seal:
            return True
        last = await self.last_seal()
        begin = (last.number, last.last_id, last.sha256) if last else (0, 0, NO_SEAL)
        follows = (seal.number - 1, seal.first_id - 1, seal.previous_sha256) == begin
        if not follows or seal.term != len(self._terms):
            return False
        self._seals.append(seal)
        return True

    async def last_numbers(self) -> tuple[int, int]:
        """Return the lengths of both lists."""
        return len(self._audit), len(self._seals)

    async def schema_faults(self) -> list[SchemaFault]:
        """Return no faults: there is no schema in memory."""
        return []

    async def content_faults(self) -> list[str]:
        """Return no faults: the code has the same rules and stores no row that breaks them."""
        return []

    def _trail(self, scan: Scan) -> Trail:
        rows = tuple(_row(entry) for entry in self._audit if entry.scan_id == scan.id)
        attempts = tuple(
            msgspec.convert(columns(each), AttemptRow) for each in self._attempts.get(scan.id, ())
        )
        return Trail(
            scan_id=scan.id, state=scan.state, version=scan.version, rows=rows, attempts=attempts
        )


def _row(entry: AuditEntry) -> AuditRow:
    return msgspec.convert(columns(entry), AuditRow)
