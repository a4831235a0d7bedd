"""`AuditTrail` and `AuditLedger` over SQL; see the ports for the contracts."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TypeVar

import msgspec

from safeurl.adapters.sql import models
from safeurl.adapters.sql.base import SQLBase
from safeurl.adapters.sql.database import Row, Statement, Value
from safeurl.adapters.sql.rows import columns, parse
from safeurl.adapters.sql.schema.check import (
    LEDGER,
    OBJECTS,
    current,
    has_ledger,
    objects_of,
    schema_faults,
)
from safeurl.adapters.sql.schema.contents import rule_faults
from safeurl.adapters.sql.schema.migrate import require_current
from safeurl.adapters.sql.statements import audit as statements
from safeurl.errors import StoreUnavailableError
from safeurl.model.audit import NO_SEAL, AuditRow, SchemaFault, Seal, Trail
from safeurl.model.scan import AuditEntry

Kind = TypeVar("Kind")


class SQLAuditTrail(SQLBase):
    """`AuditTrail`; see the port for the contract."""

    async def audit(self, scan_id: str) -> list[AuditEntry]:
        """Read the index by scan; ids increase with time."""
        rows = await self._read(statements.AUDIT, id=scan_id)
        return parse(models.AuditLog, AuditEntry, rows)


class SQLLedger(SQLBase):
    """`AuditLedger`; see the port for the contract."""

    async def rows(self, *, after: int, limit: int) -> list[AuditRow]:
        """Read the rows by their primary key."""
        return _kept(AuditRow, await self._read(statements.ROWS, after=after, limit=limit))

    async def trails(self, *, after: str, limit: int) -> list[Trail]:
        """Read the scans by their primary key, and trail and attempts of each by their indexes."""
        args: dict[str, Value] = {"after": after, "limit": limit}
        batch = [Statement(sql, args) for sql in (statements.TRAILS, statements.TRAIL_ATTEMPTS)]
        found, attempts = await self._with_retries(lambda: self._database.read_all(batch))
        found.sort(key=_by_scan)
        of_scan = defaultdict[str, list[Row]](list)
        for row in attempts:
            of_scan[str(row["scan_id"])].append(row)
        return [
            _trail(list(rows), of_scan[scan_id]) for scan_id, rows in groupby(found, key=_by_scan)
        ]

    async def seals(self, *, after: int, limit: int) -> list[Seal]:
        """Read the rows by their primary key."""
        return _kept(Seal, await self._read(statements.SEALS, after=after, limit=limit))

    async def last_seal(self) -> Seal | None:
        """Read the last row by its primary key."""
        last = _kept(Seal, await self._read(statements.LAST_SEAL))
        return last[0] if last else None

    async def seal(self, seal: Seal) -> bool:
        """Insert the seal, then read it by its hash: it is found only if it is this seal."""
        # The names of parameters must not contain digits.
        hashes = {"hash": seal.sha256, "previous_hash": seal.previous_sha256, "no_seal": NO_SEAL}
        args = columns(seal) | hashes
        batch = [Statement.of(sql, args) for sql in (statements.SEAL, statements.SEALED)]
        return bool((await self._write(batch))[-1])

    async def last_numbers(self) -> tuple[int, int]:
        """Read SQLite's own counters with one statement."""
        (row,) = await self._read(statements.LAST_NUMBERS)
        try:
            return msgspec.convert((row["last_row"], row["last_seal"]), tuple[int, int])
        except msgspec.ValidationError as exc:
            raise StoreUnavailableError(f"The database's counters are not numbers: {exc}.") from exc

    async def schema_faults(self) -> list[SchemaFault]:
        """Check the definition of the table of migrations before it is read, then all others."""
        objects = objects_of(await self._read(OBJECTS))
        if any(each.name.lower() == LEDGER for each in objects) and not has_ledger(objects):
            return schema_faults(objects, current())
        await self._with_retries(lambda: require_current(self._database))
        return schema_faults(objects, current())

    async def content_faults(self) -> list[str]:
        """Evaluate every CHECK constraint for every row."""
        return await rule_faults(
            lambda statement: self._with_retries(lambda: self._database.read(statement))
        )


def _by_scan(row: Row) -> str:
    return str(row["of_scan"])


def _trail(rows: Sequence[Row], attempts: Sequence[Row]) -> Trail:
    # For a scan without a trail the join returns one row with empty audit columns.
    kept = [row for row in rows if row["id"] is not None]
    scan = rows[0]
    document = {
        "scan_id": scan["of_scan"],
        "state": scan["state"],
        "version": scan["of_version"],
        "rows": sorted(kept, key=lambda row: int(row["id"] or 0)),
        "attempts": attempts,
    }
    return _kept(Trail, [document])[0]


def _kept(kind: type[Kind], rows: Sequence[Mapping[str, object]]) -> list[Kind]:
    """Return rows as they are stored; only the types of the STRICT columns are checked."""
    try:
        return [msgspec.convert(row, kind) for row in rows]
    except msgspec.ValidationError as exc:
        raise StoreUnavailableError(
            f"The database holds a row that is no {kind.__name__} of this version: {exc}."
        ) from exc
