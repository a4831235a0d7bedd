"""`AuditTrail` and `AuditLedger` over SQL; the contracts stand on the ports."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TypeVar

import msgspec

from safeurl.adapters.sql import models
from safeurl.adapters.sql.base import SQLBase
from safeurl.adapters.sql.database import Row, Statement
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
    """`AuditTrail`; the contract stands on the port."""

    async def audit(self, scan_id: str) -> list[AuditEntry]:
        """Walk the index by scan; ids grow with time."""
        rows = await self._read(statements.AUDIT, id=scan_id)
        return parse(models.AuditLog, AuditEntry, rows)


class SQLLedger(SQLBase):
    """`AuditLedger`; the contract stands on the port."""

    async def rows(self, *, after: int, limit: int) -> list[AuditRow]:
        """Walk the primary key."""
        return _kept(AuditRow, await self._read(statements.ROWS, after=after, limit=limit))

    async def trails(self, *, after: str, limit: int) -> list[Trail]:
        """Walk the primary key of the scans, and for each the trail's index by scan."""
        found = await self._read(statements.TRAILS, after=after, limit=limit)
        found.sort(key=_by_scan)
        return [_trail(list(rows)) for _, rows in groupby(found, key=_by_scan)]

    async def seals(self, *, after: int, limit: int) -> list[Seal]:
        """Walk the primary key."""
        return _kept(Seal, await self._read(statements.SEALS, after=after, limit=limit))

    async def last_seal(self) -> Seal | None:
        """Look at the end of the primary key."""
        last = _kept(Seal, await self._read(statements.LAST_SEAL))
        return last[0] if last else None

    async def seal(self, seal: Seal) -> bool:
        """Insert, and read it back by its hash: it stands there exactly when it is this one."""
        # Names of parameters have no digits.
        hashes = {"hash": seal.sha256, "previous_hash": seal.previous_sha256, "no_seal": NO_SEAL}
        args = columns(seal) | hashes
        batch = [Statement.of(sql, args) for sql in (statements.SEAL, statements.SEALED)]
        return bool((await self._write(batch))[-1])

    async def last_numbers(self) -> tuple[int, int]:
        """Read SQLite's own counters in one statement."""
        (row,) = await self._read(statements.LAST_NUMBERS)
        try:
            return msgspec.convert((row["last_row"], row["last_seal"]), tuple[int, int])
        except msgspec.ValidationError as exc:
            raise StoreUnavailableError(f"The database's counters are no numbers: {exc}.") from exc

    async def schema_faults(self) -> list[SchemaFault]:
        """Look at the table of migrations before it is read, then at all the rest."""
        objects = objects_of(await self._read(OBJECTS))
        if any(each.name.lower() == LEDGER for each in objects) and not has_ledger(objects):
            return schema_faults(objects, current())
        await self._patiently(lambda: require_current(self._database))
        return schema_faults(objects, current())

    async def content_faults(self) -> list[str]:
        """Ask every CHECK of every row."""
        return await rule_faults(
            lambda statement: self._patiently(lambda: self._database.read(statement))
        )


def _by_scan(row: Row) -> str:
    return str(row["of_scan"])


def _trail(rows: Sequence[Row]) -> Trail:
    # A scan without a trail comes as one row of nothing.
    kept = [row for row in rows if row["id"] is not None]
    scan = rows[0]
    document = {
        "scan_id": scan["of_scan"],
        "state": scan["state"],
        "version": scan["of_version"],
        "rows": sorted(kept, key=lambda row: int(row["id"] or 0)),
    }
    return _kept(Trail, [document])[0]


def _kept(kind: type[Kind], rows: Sequence[Mapping[str, object]]) -> list[Kind]:
    """Return rows as they are kept; the types of STRICT columns are all that is asked of them."""
    try:
        return [msgspec.convert(row, kind) for row in rows]
    except msgspec.ValidationError as exc:
        raise StoreUnavailableError(
            f"The database holds a row that is no {kind.__name__} of this version: {exc}."
        ) from exc
