"""Compares a seal with the present rows in its range, and describes the differences."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from safeurl.model.audit import AuditRow, Seal
from safeurl.model.seal import DIGEST_LENGTH, MAX_ROWS, NO_ROW, digest, digests_of, sha256_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An id whose row differs from the sealed one, or which has no row in the seal or now."""

    row_id: int
    seal: int
    #: The sealed digest; None if there was no row.
    sealed: str | None
    #: The digest of the present row; None if there is none.
    found: str | None
    scan_id: str | None


def is_shaped(seal: Seal) -> bool:
    """Return whether the sealer can have made a seal with this range and number of digests."""
    length = seal.last_id - seal.first_id + 1
    return 1 <= length <= MAX_ROWS and len(seal.digests) == length * DIGEST_LENGTH


def compare(seal: Seal, rows: Sequence[AuditRow]) -> tuple[list[str], list[Difference]]:
    """Return the faults of the seal itself, and the rows in its range that differ from it.

    `rows` are all rows in its range. Call this only if `is_shaped` is true.
    """
    differences = list(_differences(seal, rows))
    changes = [change for change in differences if change.sealed or change.found]
    if sha256_of(seal, rows) == seal.sha256:
        # The hash confirms every byte of the rows, so the digests are wrong.
        faults = [f"Seal {seal.number} was edited: its digests are not of its rows."]
        return (faults if changes else []), [d for d in differences if d not in changes]
    if changes:
        return [], differences
    where = f"rows {seal.first_id} to {seal.last_id}"
    return [
        f"Seal {seal.number} over {where} was edited, or rows were edited with their digests."
    ], differences


def _differences(seal: Seal, rows: Iterable[AuditRow]) -> Iterator[Difference]:
    standing = {row.id: row for row in rows}
    for row_id, noted in enumerate(digests_of(seal), start=seal.first_id):
        row = standing.get(row_id)
        sealed = None if noted == NO_ROW else noted
        found = None if row is None else digest(row)
        if sealed is None or sealed != found:
            yield Difference(
                row_id=row_id,
                seal=seal.number,
                sealed=sealed,
                found=found,
                scan_id=row.scan_id if row else None,
            )


def explained(differences: Sequence[Difference]) -> Iterator[str]:
    """Yield a sentence about each difference; adjacent missing rows have a common sentence."""
    now_at = {d.found: d.row_id for d in differences if d.found}
    sealed_as = {d.sealed: d for d in differences if d.sealed}
    never = [d.row_id for d in differences if not d.sealed and not d.found]
    gone = [d.row_id for d in differences if d.sealed and not d.found and d.sealed not in now_at]
    for first, last in _runs(never):
        yield f"{missing(first, last)} already when sealed."
    for first, last in _runs(gone):
        yield f"{missing(first, last)}, deleted after the sealing."
    for here in differences:
        if here.found:
            yield from _fate_of(here, sealed_as.get(here.found), now_at)


def _fate_of(
    here: Difference, origin: Difference | None, now_at: Mapping[str, int]
) -> Iterator[str]:
    """Yield the sentences about a row at an id for which another row, or none, was sealed."""
    row = f"Row {here.row_id} (scan {here.scan_id})"
    if origin is not None and origin.found and origin.found == here.sealed:
        if here.row_id < origin.row_id:
            yield f"Rows {here.row_id} and {origin.row_id} have changed places."
    elif origin is not None:
        yield f"{row} was sealed as row {origin.row_id}: it was moved."
        if here.sealed and here.sealed not in now_at:
            yield f"What was sealed as row {here.row_id} is gone."
    elif here.sealed is None:
        yield f"{row} was put in: no row stood there when seal {here.seal} was made."
    elif here.sealed in now_at:
        yield f"{row} was put in: what was sealed there is row {now_at[here.sealed]} now."
    else:
        yield f"{row} is not what was sealed."


def missing(first: int, last: int) -> str:
    """Return the beginning of a sentence about missing rows."""
    return f"Row {first} is missing" if first == last else f"Rows {first} to {last} are missing"


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last number of each sequence without a gap."""
    run: list[int] = []
    for number in numbers:
        if run and number != run[-1] + 1:
            yield run[0], run[-1]
            run = []
        run.append(number)
    if run:
        yield run[0], run[-1]
