"""Which notes of the trail say that an attempt does not count as a failure."""

from dataclasses import replace

import pytest

from safeurl.model.audit import NOT_COUNTED, AttemptRow, AuditRow, Trail
from safeurl.services.attempt_check import attempt_faults

_AT = "2026-01-02T03:04:05.678901Z"
_CLAIM = AuditRow(
    id=2,
    scan_id="s",
    event="transition",
    version=1,
    attempt=1,
    from_state="QUEUED",
    to_state="FETCHING",
    actor="w",
    outcome=None,
    detail=None,
    at=_AT,
)
_END = replace(
    _CLAIM, id=3, version=2, from_state="FETCHING", to_state="QUEUED", outcome="lease_lost"
)
_NOTE = replace(
    _END, id=4, event=NOT_COUNTED, from_state=None, to_state=None, outcome=None, detail=None
)
_ROW = AttemptRow(
    scan_id="s",
    attempt=1,
    owner="w",
    started_at=_AT,
    ended_at=_AT,
    outcome="lease_lost",
    counts_as_failure=0,
)


def _faults(note: AuditRow) -> list[str]:
    rows = (_CLAIM, _END, note)
    trail = Trail(scan_id="s", state="QUEUED", version=2, rows=rows, attempts=(_ROW,))
    return list(attempt_faults(trail))


def test_the_note_of_the_move_or_of_a_migration_excuses() -> None:
    """A trigger writes it as the next row, with the values of the move."""
    assert _faults(_NOTE) == []
    assert _faults(replace(_NOTE, id=90, actor="migration", at="2027-01-02T03:04:05.678000Z")) == []


@pytest.mark.parametrize(
    "forged",
    [
        replace(_NOTE, id=5),
        replace(_NOTE, version=3),
        replace(_NOTE, actor="mallory"),
        replace(_NOTE, at="2026-01-02T03:04:06.678901Z"),
        replace(_NOTE, attempt=2),
    ],
)
def test_a_note_that_was_put_in_later_excuses_nothing(forged: AuditRow) -> None:
    """Whoever changed the row of the attempt may also append a note to the trail."""
    assert _faults(forged) == ["Attempt 1 has counts_as_failure 0, but its trail says 1."]
