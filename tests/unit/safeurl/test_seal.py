"""Seals: the exact bytes that they cover, and the findings about changed rows."""

import hashlib
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeurl.model.audit import NO_SEAL, AuditRow, Seal, Trail, trail_faults
from safeurl.model.seal import MAX_ROWS, NO_ROW, digest, seal_over, sha256_of
from safeurl.model.seal_check import compare, explained, is_shaped
from tests.support.builders import NOW


def _row(row_id: int, actor: str = "ʘ", **changes: Any) -> AuditRow:
    # Any: the values are those of whatever field a test changes.
    row = AuditRow(
        id=row_id,
        scan_id=f"s{row_id}",
        event="submitted",
        version=0,
        attempt=0,
        from_state=None,
        to_state="QUEUED",
        actor=actor,
        outcome=None,
        detail=None,
        at="2026-01-02T03:04:05.678901Z",
    )
    return replace(row, **changes)


def _seal(rows: list[AuditRow], previous: Seal | None = None) -> Seal:
    last = rows[-1].id
    number = previous.number + 1 if previous else 1
    return seal_over(rows, number=number, last_id=last, previous=previous, at=NOW, term=7)


def _said(seal: Seal, rows: list[AuditRow]) -> list[str]:
    faults, differences = compare(seal, rows)
    return faults + list(explained(differences))


def test_a_seal_can_be_computed_by_hand() -> None:
    """The bytes are those that the module's description gives."""
    row = _row(2)
    body = b"2:s2,9:submitted,1:0,1:0,-6:QUEUED,2:\xca\x98,--27:2026-01-02T03:04:05.678901Z,"
    head = b"64:" + b"0" * 64 + b",1:1,1:1,1:2,27:2026-01-02T03:04:05.678901Z,1:7,"
    seal = _seal([row])
    assert seal.digests == NO_ROW + hashlib.sha256(body).hexdigest()[:16]
    assert seal.sha256 == hashlib.sha256(head + b"-" + b"%d:%b," % (len(body), body)).hexdigest()
    assert (seal.first_id, seal.last_id, seal.previous_sha256) == (1, 2, NO_SEAL)


@pytest.mark.parametrize("name", [f.name for f in fields(Seal) if f.name != "digests"])
def test_every_field_of_a_seal_counts(name: str) -> None:
    """If any field is changed, also its hash, the seal does not match its rows."""
    rows = [_row(1), _row(2)]
    seal = _seal(rows)
    value = getattr(seal, name)
    change: Any = value + 1 if isinstance(value, int) else "f" * 64  # of whatever field it is
    changed = replace(seal, **{name: change})
    assert sha256_of(changed, rows) != changed.sha256


_text = st.none() | st.text("0123456789:,-aʘ\n", max_size=8)


@given(*[st.tuples(_text, _text, _text)] * 2)
def test_no_two_rows_are_encoded_alike(
    one: tuple[str | None, ...], other: tuple[str | None, ...]
) -> None:
    """However text moves from one column to the next, and no text is not empty text."""
    rows = [_row(1, outcome=o, detail=d, from_state=f) for o, d, f in (one, other)]
    assert (digest(rows[0]) == digest(rows[1])) == (one == other)


def test_text_that_is_none_is_sealed_too() -> None:
    """A lone surrogate raises no error."""
    rows = [_row(1, detail="\ud800")]
    assert _said(_seal(rows), rows) == []


def test_untouched_rows_compare_well() -> None:
    """On the first seal and on a later one."""
    first = _seal([_row(1), _row(2)])
    rows = [_row(3), _row(4)]
    assert _said(_seal(rows, first), rows) == []


def test_fates_of_rows_are_told() -> None:
    """Edited, deleted, swapped, moved, put in: one sentence each."""
    rows = [_row(row_id) for row_id in range(1, 9)]
    seal = _seal(rows)
    there = {row.id: row for row in rows}

    def said(**at: AuditRow | None) -> list[str]:
        now = there | {int(name[1:]): row for name, row in at.items()}
        return _said(seal, [row for row in now.values() if row is not None])

    assert said(r3=_row(3, "x")) == ["Row 3 (scan s3) is not what was sealed."]
    assert said(r3=None) == ["Row 3 is missing, deleted after the sealing."]
    assert said(r3=None, r4=None, r7=None) == [
        "Rows 3 to 4 are missing, deleted after the sealing.",
        "Row 7 is missing, deleted after the sealing.",
    ]
    swapped = {"r3": replace(there[5], id=3), "r5": replace(there[3], id=5)}
    assert said(**swapped) == ["Rows 3 and 5 have changed places."]
    assert said(r3=None, r5=replace(there[3], id=5)) == [
        "Row 5 (scan s3) was sealed as row 3: it was moved.",
        "What was sealed as row 5 is gone.",
    ]
    assert said(r3=_row(3, "x"), r5=replace(there[3], id=5)) == [
        "Row 3 (scan s3) was put in: what was sealed there is row 5 now.",
        "Row 5 (scan s3) was sealed as row 3: it was moved.",
        "What was sealed as row 5 is gone.",
    ]


def test_a_row_that_was_missing_stays_missing() -> None:
    """The seal is valid, and the missing row is still reported; a row in its place was inserted."""
    rows = [_row(1), _row(4)]
    seal = _seal(rows)
    assert _said(seal, rows) == ["Rows 2 to 3 are missing already when sealed."]
    assert _said(seal, [*rows, _row(3)]) == [
        "Row 2 is missing already when sealed.",
        "Row 3 (scan s3) was put in: no row stood there when seal 1 was made.",
    ]


def test_digests_that_fit_the_rows_but_not_the_hash() -> None:
    """If the seal's hash is right, the digests are wrong; else the seal or its rows are."""
    rows = [_row(1), _row(2)]
    seal = _seal(rows)
    assert _said(replace(seal, digests="0" * 32), rows) == [
        "Seal 1 was edited: its digests are not of its rows."
    ]
    assert _said(replace(seal, sha256="0" * 64), rows) == [
        "Seal 1 over rows 1 to 2 was edited, or rows were edited with their digests."
    ]


@pytest.mark.parametrize(
    ("first", "last", "digests", "shaped"),
    [
        (1, 2, 2, True),
        (1, MAX_ROWS, MAX_ROWS, True),
        (1, MAX_ROWS + 1, MAX_ROWS + 1, False),
        (1, 10**18, 2, False),
        (2, 1, 0, False),
        (1, 2, 1, False),
    ],
)
def test_only_what_a_sealer_could_have_made_is_compared(
    first: int, last: int, digests: int, *, shaped: bool
) -> None:
    """A range without end is refused before anybody counts through it."""
    seal = _seal([_row(1)])
    forged = replace(seal, first_id=first, last_id=last, digests="0" * 16 * digests)
    assert is_shaped(forged) is shaped


def test_a_trail_ends_where_its_scan_stands() -> None:
    """Otherwise one of the two was changed; unknown values are named."""
    row = _row(1)
    assert trail_faults(Trail(scan_id="s1", state="QUEUED", version=0, rows=(row,))) == []
    assert trail_faults(Trail(scan_id="s1", state="FAILED", version=1, rows=(row,))) == [
        "It is FAILED at version 1, but its trail ends with entry 1: QUEUED at version 0."
    ]
    assert trail_faults(Trail(scan_id="s1", state="QUEUED", version=2, rows=(row,))) == [
        "It is QUEUED at version 2, but its trail ends with entry 1: QUEUED at version 0."
    ]
    assert trail_faults(Trail(scan_id="s1", state="QUEUED", version=0, rows=())) == [
        "The trail has no entries."
    ]
    odd = replace(row, outcome="fine")
    assert trail_faults(Trail(scan_id="s1", state="QUEUED", version=0, rows=(odd,)))[0] == (
        "Entry 1 is none that SafeURL writes: 'fine' is not a valid Outcome."
    )
