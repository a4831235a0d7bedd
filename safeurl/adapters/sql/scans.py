"""`ScanStore` over SQL; see the port for the contract."""

import json
from collections.abc import Callable, Sequence

from safeurl.adapters.sql import models
from safeurl.adapters.sql.base import SQLBase
from safeurl.adapters.sql.database import Row, Statement, Value
from safeurl.adapters.sql.rows import as_json, first, new_change_id, parse, readable
from safeurl.adapters.sql.statements import scans as statements
from safeurl.errors import RowUnreadableError
from safeurl.model.scan import Artefact, Result, Scan, VerdictSummary

#: Selects only the ids of a statement's scans; SQLite then decodes no other column.
_IDS_OF = "SELECT id FROM ({})"


class SQLScanRows(SQLBase):
    """Reads rows of scans of which some may be damaged."""

    async def _scan_rows(
        self, sql: str, on_unreadable: Callable[[str], None], **args: Value
    ) -> list[Row]:
        """Return the rows, without those that the database itself cannot read."""
        try:
            return await self._read(sql, **args)
        except RowUnreadableError:
            ids = await self._read(_IDS_OF.format(sql), **args)
        rows: list[Row] = []
        for scan_id in (str(row["id"]) for row in ids):
            try:
                rows += await self._read(statements.GET, id=scan_id)
            except RowUnreadableError:
                on_unreadable(scan_id)
        return rows


class SQLScans(SQLScanRows):
    """`ScanStore`; see the port for the contract."""

    async def add(self, scans: Sequence[Scan]) -> None:
        """Insert all scans with one statement."""
        if scans:
            args = {"scans": as_json(scans), "change_id": new_change_id()}
            await self._write([Statement.of(statements.ADD, args)])

    async def get(self, scan_id: str) -> Scan | None:
        """Read the row by its primary key."""
        return first(parse(models.ScanJob, Scan, await self._read(statements.GET, id=scan_id)))

    async def page(self, *, limit: int, before: str | None = None) -> list[Scan]:
        """Read rows by descending primary key, skipping those that cannot be read."""
        found: list[Scan] = []
        while len(found) < limit:
            wanted, bad = limit - len(found), list[str]()
            rows = await self._scan_rows(statements.PAGE, bad.append, limit=wanted, before=before)
            found += readable(models.ScanJob, Scan, rows)
            if len(rows) + len(bad) < wanted:
                break
            before = min([*bad, *(str(row["id"]) for row in rows)])
        return found

    async def result(self, scan_id: str) -> Result | None:
        """Read the row by its primary key."""
        rows = await self._read(statements.RESULT, id=scan_id)
        return first(parse(models.ScanResult, Result, rows))

    async def summaries(self, scan_ids: Sequence[str]) -> dict[str, VerdictSummary]:
        """Read the rows by their primary keys, without the JSON documents."""
        rows = await self._read(statements.SUMMARIES, ids=json.dumps(list(scan_ids)))
        return {
            each.scan_id: each for each in parse(models.VerdictSummaryRow, VerdictSummary, rows)
        }

    async def evidence(self, scan_id: str) -> str | None:
        """Read the row by its primary key."""
        rows = await self._read(statements.EVIDENCE, id=scan_id)
        return models.ScanEvidence.model_validate(rows[0]).document if rows else None

    async def artefacts(self, scan_id: str) -> list[Artefact]:
        """Read the rows by their primary key."""
        rows = await self._read(statements.ARTEFACTS, id=scan_id)
        return parse(models.ScanArtefact, Artefact, rows)
