"""Reading audit trails: legal lives have no faults, every kind of break has its sentence."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise, product

import pytest

from safeurl.model.audit import path_faults
from safeurl.model.scan import AuditEntry
from safeurl.state import State, is_legal

NOW = datetime(2030, 1, 1, tzinfo=UTC)

LIVES = {
    "just submitted": [State.QUEUED],
    "completed": [State.QUEUED, State.FETCHING, State.ANALYZING, State.COMPLETED],
    "cancelled": [State.QUEUED, State.FAILED],
    "timed out": [State.QUEUED, State.FETCHING, State.TIMED_OUT],
    "rescued": [State.QUEUED, State.FETCHING, State.QUEUED, State.FETCHING, State.FAILED],
    "rescued from analysis": [
        *(State.QUEUED, State.FETCHING, State.ANALYZING),
        *(State.QUEUED, State.FETCHING, State.ANALYZING, State.COMPLETED),
    ],
}


def entry(number: int, old: State | None, new: State | None) -> AuditEntry:
    """Return the entry that a trigger writes for the move with this version."""
    return AuditEntry(
        id=number + 100,
        scan_id="s1",
        event="transition" if old else "submitted",
        version=number,
        attempt=0,
        from_state=old,
        to_state=new,
        actor="test",
        outcome=None,
        detail=None,
        at=NOW,
    )


def trail(states: list[State]) -> list[AuditEntry]:
    """Return the trail of a scan that went through these states."""
    starts: list[State | None] = [None, *states]
    return [entry(number, old, new) for number, (old, new) in enumerate(pairwise(starts))]


@pytest.mark.parametrize("states", LIVES.values(), ids=LIVES.keys())
def test_a_legal_life_has_no_faults(states: list[State]) -> None:
    """Every path through the table reads clean."""
    assert path_faults(trail(states)) == []


def test_notes_are_passed_over() -> None:
    """A note describes an attempt; it is not a move at any position."""
    steps = trail(LIVES["completed"])
    note = replace(entry(1, None, None), event="sandbox")
    assert path_faults([note, steps[0], note, *steps[1:], note]) == []


def test_an_empty_trail_is_a_fault() -> None:
    """A scan without its submission has lost its history; notes alone are none."""
    assert path_faults([]) == ["The trail has no entries."]
    assert path_faults([entry(0, None, None)]) == ["The trail has no entries."]


@pytest.mark.parametrize(("old", "new"), list(product(State, State)))
def test_a_step_is_legal_in_the_trail_when_it_is_in_the_table(old: State, new: State) -> None:
    """The trail is checked with the same table as the writes."""
    faults = path_faults([entry(0, None, old), entry(1, old, new)])
    assert (f"Entry 101 moves {old} to {new}." in faults) is not is_legal(old, new)


@pytest.mark.parametrize("gone", [1, 2])
def test_a_removed_entry_is_told(gone: int) -> None:
    """A gap shows in the states and in the versions."""
    steps = trail(LIVES["completed"])
    del steps[gone]
    assert path_faults(steps) == [
        f"Entry {101 + gone} starts from {steps[gone].from_state}, not {steps[gone - 1].to_state}.",
        f"Entry {101 + gone} has version {gone + 1} after {gone - 1}.",
    ]


def test_a_trail_that_does_not_begin_with_the_submission_is_told() -> None:
    """The first entry is the submission at version 0."""
    steps = trail(LIVES["completed"])
    for first in (
        steps[1],
        replace(steps[0], version=1),
        replace(steps[0], event="transition"),
        replace(steps[0], to_state=State.FETCHING),
    ):
        assert f"Entry {first.id} is not a submission at version 0." in path_faults([first])


def test_an_illegal_move_is_told() -> None:
    """A scan that rose from a final state did not do so by our code."""
    steps = trail([State.QUEUED, State.FAILED, State.FETCHING])
    assert path_faults(steps) == ["Entry 102 moves FAILED to FETCHING."]


def test_reordered_entries_are_told() -> None:
    """Versions run upwards by one."""
    steps = trail(LIVES["rescued"])
    steps[1], steps[3] = steps[3], steps[1]
    assert "Entry 103 has version 3 after 0." in path_faults(steps)
