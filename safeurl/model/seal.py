"""Seals over the audit trail: how they are computed, so that anybody can do it again.

- A field is its text in UTF-8 as a netstring: the number of its bytes in decimal, a colon, the
  bytes, a comma. Numbers are written in decimal. A column without a value is a single `-`.
- A row is its fields in the order of the table, all but its id: scan_id, event, version, attempt,
  from_state, to_state, actor, outcome, detail, at. Its digest is the start of its SHA-256.
- A seal's sha256 is the SHA-256 over the fields previous_sha256, number, first_id, last_id,
  sealed_at and term, and then over each id from first to last: the row there as one more
  netstring, or `-` where there was none.

A row's place is told by the order and not by the row, so that a row that was moved is recognised.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from safeurl.model.audit import NO_SEAL, AuditRow, Seal

#: Rows under one seal at most; what claims more was not made by a sealer.
MAX_ROWS = 1_000

#: Hex digits of a row's digest.
DIGEST_LENGTH = 16

#: Stands for the digest of a row that was not there.
NO_ROW = "-" * DIGEST_LENGTH

_NOTHING = b"-"


def digest(row: AuditRow) -> str:
    """Return what a seal remembers of a row."""
    return hashlib.sha256(_encoded(row)).hexdigest()[:DIGEST_LENGTH]


def sha256_of(seal: Seal, rows: Iterable[AuditRow]) -> str:
    """Return the hash that the seal should have if these are the rows in its range."""
    total = hashlib.sha256()
    for value in (seal.previous_sha256, seal.number, seal.first_id, seal.last_id):
        total.update(_field(value))
    total.update(_field(seal.sealed_at) + _field(seal.term))
    standing = {row.id: row for row in rows}
    for row_id in range(seal.first_id, seal.last_id + 1):
        row = standing.get(row_id)
        total.update(_NOTHING if row is None else _netstring(_encoded(row)))
    return total.hexdigest()


def seal_over(  # noqa: PLR0913 - one keyword per fact that is sealed
    rows: Sequence[AuditRow],
    *,
    number: int,
    last_id: int,
    previous: Seal | None,
    at: datetime,
    term: int,
) -> Seal:
    """Seal the rows that follow on the previous seal, up to the id `last_id`."""
    first_id = previous.last_id + 1 if previous else 1
    found = {row.id: digest(row) for row in rows}
    seal = Seal(
        number=number,
        first_id=first_id,
        last_id=last_id,
        digests="".join(found.get(row_id, NO_ROW) for row_id in range(first_id, last_id + 1)),
        sha256="",
        previous_sha256=previous.sha256 if previous else NO_SEAL,
        sealed_at=at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        term=term,
    )
    return replace(seal, sha256=sha256_of(seal, rows))


def digests_of(seal: Seal) -> list[str]:
    """Return the digests one by one, as many as there are."""
    text = seal.digests
    return [text[start : start + DIGEST_LENGTH] for start in range(0, len(text), DIGEST_LENGTH)]


def _encoded(row: AuditRow) -> bytes:
    states = _field(row.from_state) + _field(row.to_state)
    begin = _field(row.scan_id) + _field(row.event) + _field(row.version) + _field(row.attempt)
    return (
        begin
        + states
        + b"".join(_field(value) for value in (row.actor, row.outcome, row.detail, row.at))
    )


def _field(value: str | int | None) -> bytes:
    # Half a character cannot come from the database; it is no reason to stop either.
    return _NOTHING if value is None else _netstring(str(value).encode(errors="surrogatepass"))


def _netstring(data: bytes) -> bytes:
    return b"%d:%b," % (len(data), data)
