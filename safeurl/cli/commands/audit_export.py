"""Exports the audit trail as JSON lines: rows by id, each seal after the last row it covers."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import asdict

from safeurl.model.audit import AuditRow, Seal
from safeurl.ports.audit import AuditLedger

_ROWS_PAGE = 1_000
_SEALS_PAGE = 50


async def export(ledger: AuditLedger, *, after: int) -> AsyncGenerator[Mapping[str, object]]:
    """Return one document per row after the id `after` and per seal that ends after it.

    It ends with the row and the seal that were the last when it began.
    """
    last_row, last_seal = await ledger.last_numbers()
    seals = _seals(ledger, after, last_seal)
    seal = await anext(seals, None)
    async for row in _rows(ledger, after, last_row):
        while seal is not None and seal.last_id < row.id:
            yield {"kind": "seal", **asdict(seal)}
            seal = await anext(seals, None)
        yield {"kind": "row", **asdict(row)}
    while seal is not None:
        yield {"kind": "seal", **asdict(seal)}
        seal = await anext(seals, None)


async def _rows(ledger: AuditLedger, after: int, last: int) -> AsyncIterator[AuditRow]:
    while page := await ledger.rows(after=after, limit=_ROWS_PAGE):
        for row in page:
            if row.id > last:
                return
            yield row
        after = page[-1].id


async def _seals(ledger: AuditLedger, after_row: int, last: int) -> AsyncIterator[Seal]:
    after = 0
    while page := await ledger.seals(after=after, limit=_SEALS_PAGE):
        for seal in page:
            if seal.number > last:
                return
            if seal.last_id > after_row:
                yield seal
        after = page[-1].number
