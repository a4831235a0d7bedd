"""`Backlog` over SQL; see the port for the contract."""

from datetime import datetime

from safeurl.adapters.sql import models
from safeurl.adapters.sql.database import Value
from safeurl.adapters.sql.rows import readable, stamp
from safeurl.adapters.sql.scans import SQLScanRows
from safeurl.adapters.sql.statements import backlog as statements
from safeurl.model.scan import Scan
from safeurl.ports.backlog import MOST_UNREADABLE, Unreadable, ignore
from safeurl.ports.clock import CLOCK_SKEW


class SQLBacklog(SQLScanRows):
    """`Backlog`; see the port for the contract."""

    async def due(
        self, *, now: datetime, limit: int, on_unreadable: Unreadable = ignore
    ) -> list[Scan]:
        """Read the partial index of QUEUED scans."""
        return await self._readable(statements.DUE, limit, on_unreadable, **due_args(now))

    async def leased(
        self, *, limit: int, until: datetime | None = None, on_unreadable: Unreadable = ignore
    ) -> list[Scan]:
        """Read the partial index of leases."""
        last = None if until is None else stamp(until)
        return await self._readable(statements.LEASED, limit, on_unreadable, until=last)

    async def _readable(
        self, sql: str, limit: int, on_unreadable: Unreadable, **args: Value
    ) -> list[Scan]:
        """Return the requested number of scans, skipping rows that cannot be read."""
        wanted = limit
        while True:
            bad: list[str] = []
            rows = await self._scan_rows(sql, bad.append, limit=wanted, **args)
            is_short = len(rows) + len(bad) < wanted
            found = readable(models.ScanJob, Scan, rows, bad.append)
            is_all = is_short or wanted >= limit + MOST_UNREADABLE
            if is_all or len(found) >= limit:
                for scan_id in bad:
                    on_unreadable(scan_id)
                return found[:limit]
            wanted = min(2 * wanted, limit + MOST_UNREADABLE)


def due_args(now: datetime) -> dict[str, Value]:
    """Return the parameters of the condition that a scan is due."""
    return {"settled": stamp(now), "skewed": stamp(now + CLOCK_SKEW)}
