"""The chaos' own checks: each finds what it is for, in a database that was made up."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from safeurl.model.scan import AuditEntry
from safeurl.state import Outcome, State
from tests.chaos import checks
from tests.chaos.checks import Found
from tests.support.builders import NOW

_RETRIES = 3


def _trail(
    *steps: tuple[float, State, Outcome | None], actor: str = "a/0:1", first_id: int = 1
) -> list[AuditEntry]:
    """Return the trail of scan "s" with a step at each of these seconds."""
    return [
        AuditEntry(
            id=first_id + number,
            scan_id="s",
            event="moved",
            version=number,
            attempt=1,
            from_state=None,
            to_state=state,
            actor=actor,
            outcome=outcome,
            detail=None,
            at=NOW + timedelta(seconds=second),
        )
        for number, (second, state, outcome) in enumerate(steps)
    ]


def _found(
    trail: Sequence[AuditEntry],
    *,
    terms: Sequence[float] = (0.0,),
    seals: Sequence[tuple[int, int]] = (),
) -> Found:
    """Return one scan; terms by the second they began, seals as last entry and term."""
    return Found(
        scans={"s": {"state": trail[-1].to_state}},
        results=[],
        trails={"s": list(trail)},
        terms=[
            {"term": n, "elected_at": (NOW + timedelta(seconds=second)).isoformat()}
            for n, second in enumerate(terms, 1)
        ],
        seals=[
            {"number": n, "last_id": last_id, "term": term}
            for n, (last_id, term) in enumerate(seals, 1)
        ],
    )


@pytest.mark.parametrize(
    ("outcomes", "end", "is_good"),
    [
        ([], (State.COMPLETED, Outcome.OK), True),
        ([Outcome.LEASE_LOST] * 3, (State.COMPLETED, Outcome.OK), True),
        ([Outcome.LEASE_LOST] * 3, (State.FAILED, Outcome.SANDBOX_UNAVAILABLE), True),
        ([Outcome.LEASE_LOST] * 2, (State.FAILED, Outcome.LEASE_LOST), False),
        ([], (State.FAILED, Outcome.SANDBOX_CRASHED), False),
        ([], (State.TIMED_OUT, Outcome.WALL_TIMEOUT), False),
        ([], (State.COMPLETED, Outcome.REPORT_MALFORMED), False),
    ],
)
def test_a_page_that_is_fine_is_seen_or_its_retries_are_used_up(
    outcomes: list[Outcome], end: tuple[State, Outcome], *, is_good: bool
) -> None:
    """Nothing else is taken, whatever the state says."""
    steps = [(0.0, State.QUEUED, outcome) for outcome in outcomes]
    check = checks.good_ends(_found(_trail(*steps, (1.0, *end))), _RETRIES)
    assert (not check.faults) == is_good


def test_a_long_hold_is_found() -> None:
    """The longest time from a claim to the next step counts; that for a turn does not."""
    found = _found(
        _trail((0, State.QUEUED, None), (50, State.FETCHING, None), (60, State.FAILED, None))
    )
    assert checks.no_long_hold(found, 10.0).faults == ()
    assert "stayed FETCHING" in checks.no_long_hold(found, 9.0).faults[0]


def test_an_entry_of_a_deposed_leader_is_found() -> None:
    """One that stands before the next leader's time is well, one that follows on it is not."""
    early = _trail((1.0, State.QUEUED, None), actor="a/0:1 term 1")
    new = _trail((20.0, State.FETCHING, None), first_id=2)
    late = _trail((1.0, State.QUEUED, None), actor="a/0:1 term 1", first_id=3)
    terms = (0.0, 10.0)
    assert checks.deposed_are_refused(_found([*early, *new], terms=terms), 1).faults == ()
    [fault] = checks.deposed_are_refused(_found([*early, *new, *late], terms=terms), 1).faults
    assert "Entry 3 of term 1" in fault


@pytest.mark.parametrize(
    ("seals", "faulty"),
    [([(1, 1), (2, 2)], []), ([(1, 2), (2, 1)], [2]), ([(2, 1)], [1])],
)
def test_a_seal_of_a_deposed_leader_is_found(
    seals: list[tuple[int, int]], faulty: list[int]
) -> None:
    """By the term of the seal before, and by the entries that it stands over."""
    trail = _trail((1.0, State.QUEUED, None), (20.0, State.FETCHING, None))
    check = checks.deposed_are_refused(_found(trail, terms=(0.0, 10.0), seals=seals), 1)
    assert [int(fault.split()[1]) for fault in check.faults] == faulty


def test_a_run_that_shows_nothing_is_no_pass() -> None:
    """No recovery at all, or few kinds of fault in a long run."""
    many = dict.fromkeys("abcdef", 1)
    assert checks.enough_broken(many, 1, 100).faults == ()
    assert checks.enough_broken(many, 0, 100).faults
    assert checks.enough_broken({"a": 9}, 1, 100).faults
    assert checks.enough_broken({"a": 9}, 1, 99).faults == ()


def test_a_late_successor_is_found() -> None:
    """The worst of all failovers counts."""
    assert checks.failover([1.0, 6.0], 6.0).faults == ()
    assert checks.failover([1.0, 6.1], 6.0).faults
