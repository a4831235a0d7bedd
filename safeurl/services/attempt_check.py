"""Compares the rows of a scan's attempts with its audit trail."""

from collections.abc import Iterator
from dataclasses import fields

from safeurl.model.audit import (
    MIGRATION,
    NOT_COUNTED,
    REPLACED,
    UNRECORDED,
    AttemptRow,
    AuditRow,
    Trail,
)
from safeurl.retry import RETRIED
from safeurl.state import State

_HELD = frozenset({State.FETCHING, State.ANALYZING})
_ENDS_NOTHING = frozenset({None, State.ANALYZING})


def attempt_faults(trail: Trail) -> Iterator[str]:
    """Yield a fault for each attempt whose row differs from the trail, is missing, or has no claim.

    If the trail of the scan is missing, that is another fault, and nothing can be compared.
    """
    if not trail.rows:
        return
    kept = {row.attempt: row for row in trail.attempts}
    claims = {row.attempt: row for row in trail.rows if row.to_state == State.FETCHING}
    ends = {
        row.attempt: row
        for row in trail.rows
        if row.from_state in _HELD and row.to_state not in _ENDS_NOTHING
    }
    notes = {(row.event, row.attempt): row for row in trail.rows if row.to_state is None}
    for number in sorted(kept.keys() | claims.keys()):
        replaced = notes.get((REPLACED, number))
        if replaced is not None:
            yield f"Attempt {number} had a forged row before its claim (entry {replaced.id})."
        row, claim = kept.get(number), claims.get(number)
        if claim is None:
            yield f"Attempt {number} has a row, but nobody claimed it."
        elif row is not None:
            end = ends.get(number)
            is_excused = _is_excused(end, notes.get((NOT_COUNTED, number)))
            yield from _differences(row, _wanted(claim, end, counts=not is_excused))
        elif (UNRECORDED, number) not in notes:
            yield f"Attempt {number}, claimed with entry {claim.id}, has no row."


def _is_excused(end: AuditRow | None, note: AuditRow | None) -> bool:
    """Return whether a note says that the attempt does not count.

    A trigger writes it with the move that ends the attempt, as the next row. A migration has
    written it later, for moves of older versions.
    """
    if end is None or note is None:
        return False
    written = (note.id, note.version, note.actor, note.at)
    return note.actor == MIGRATION or written == (end.id + 1, end.version, end.actor, end.at)


def _wanted(claim: AuditRow, end: AuditRow | None, *, counts: bool) -> AttemptRow:
    """Return the row that the claim and the final move of the attempt must have written."""
    counted = None
    if end is not None:
        # The caller of a requeue decides; for a final state the outcome decides.
        counted = int(counts if end.to_state == State.QUEUED else end.outcome in RETRIED)
    return AttemptRow(
        scan_id=claim.scan_id,
        attempt=claim.attempt,
        owner=claim.actor,
        started_at=claim.at,
        ended_at=end.at if end else None,
        outcome=end.outcome if end else None,
        counts_as_failure=counted,
    )


def _differences(row: AttemptRow, wanted: AttemptRow) -> Iterator[str]:
    for field in fields(AttemptRow):
        found, expected = getattr(row, field.name), getattr(wanted, field.name)
        if found != expected:
            yield f"Attempt {row.attempt} has {field.name} {found}, but its trail says {expected}."
