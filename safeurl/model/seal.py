"""Computes the seals over the audit trail. Everybody can compute them again from these rules.

- A field is its text in UTF-8 as a netstring: the number of its bytes in decimal, a colon, the
  bytes, a comma. Numbers are written in decimal. A column without a value is a single `-`.
- A row is its fields in the order of the table, without its id: scan_id, event, version, attempt,
  from_state, to_state, actor, outcome, detail, at. Its digest is the start of its SHA-256.
- A seal's sha256 is the SHA-256 over the fields previous_sha256, number, first_id, last_id,
  sealed_at and term, and then over each id from first to last: the row with this id as one more
  netstring, or `-` if there was no row.

The order gives the id of a row; the row's own bytes do not contain it. A moved row is therefore
recognised by its digest.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from safeurl.model.audit import NO_SEAL, AuditRow, Seal

#: The most rows under one seal. A seal over more rows was not made by the sealer.
MAX_ROWS = 1_000

#: The number of hex digits of a row's digest.
DIGEST_LENGTH = 16

#: The entry in the digests for an id without a row.
NO_ROW = "-" * DIGEST_LENGTH

_NOTHING = b"-"


def digest(row: AuditRow) -> str:
    """Return the digest of a row, which the seal stores."""
    return hashlib.sha256(_encoded(row)).hexdigest()[:DIGEST_LENGTH]


def sha256_of(seal: Seal, rows: Iterable[AuditRow]) -> str:
    """Return the hash of a seal whose range has these rows."""
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
    """Return the seal of the rows after the previous seal, up to the id `last_id`."""
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
    """Return the digests of the seal as a list."""
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
    # The database never returns a lone surrogate. If one appears, it must not raise an error.
    return _NOTHING if value is None else _netstring(str(value).encode(errors="surrogatepass"))


def _netstring(data: bytes) -> bytes:
    return b"%d:%b," % (len(data), data)
