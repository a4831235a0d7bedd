"""The checks of the chaos suite: each finds its fault in an artificial database."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from safeurl.model.attempt import Attempt
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
    attempts: Sequence[Attempt] = (),
) -> Found:
    """Return one scan; terms by the second they began, seals as last entry and term."""
    return Found(
        attempts={"s": list(attempts)},
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
    """Every other end is reported, in any state."""
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
    """An entry before the next leader's term is valid, one after its start is not."""
    step = (1.0, State.QUEUED, Outcome.LEASE_LOST)
    early = [replace(each, from_state=State.FETCHING) for each in _trail(step)]
    new = _trail((20.0, State.FETCHING, None), first_id=2)
    late = [
        replace(each, from_state=State.FETCHING, attempt=2) for each in _trail(step, first_id=3)
    ]
    attempts = [
        Attempt(scan_id="s", attempt=number, owner="w", started_at=NOW, term=1) for number in (1, 2)
    ]

    def faults(trail: list[AuditEntry]) -> tuple[str, ...]:
        found = _found(trail, terms=(0.0, 10.0), attempts=attempts)
        return checks.deposed_are_refused(found, 1).faults

    assert faults([*early, *new]) == ()
    [fault] = faults([*early, *new, *late])
    assert "Entry 3 of term 1" in fault


def _life() -> tuple[list[AuditEntry], list[Attempt]]:
    """Return the trail of a scan that was requeued once and then completed, with its attempts."""
    states = [
        (None, State.QUEUED, None, 0),
        (State.QUEUED, State.FETCHING, None, 1),
        (State.FETCHING, State.QUEUED, Outcome.LEASE_LOST, 1),
        (State.QUEUED, State.FETCHING, None, 2),
        (State.FETCHING, State.ANALYZING, Outcome.OK, 2),
        (State.ANALYZING, State.COMPLETED, Outcome.OK, 2),
    ]
    entries = _trail(*((float(n), to, outcome) for n, (_, to, outcome, _) in enumerate(states)))
    trail = [
        replace(entry, from_state=old, attempt=attempt)
        for entry, (old, _, _, attempt) in zip(entries, states, strict=True)
    ]
    attempts = [
        Attempt(
            scan_id="s",
            attempt=number,
            owner="a/0:1",
            started_at=NOW + timedelta(seconds=began),
            ended_at=NOW + timedelta(seconds=ended),
            outcome=outcome,
            counts_as_failure=outcome is not Outcome.OK,
        )
        for number, began, ended, outcome in ((1, 1, 2, Outcome.LEASE_LOST), (2, 3, 5, Outcome.OK))
    ]
    return trail, attempts


def test_attempts_that_are_those_of_the_trail_pass() -> None:
    """Also one that has not ended yet."""
    trail, attempts = _life()
    assert checks.attempt_rows(_found(trail, attempts=attempts)).faults == ()
    begun = replace(attempts[1], ended_at=None, outcome=None, counts_as_failure=None)
    assert checks.attempt_rows(_found(trail[:4], attempts=[attempts[0], begun])).faults == ()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"attempt": 3}, "attempts have a row"),
        ({"owner": "b/0:1"}, "was not begun"),
        ({"started_at": NOW}, "was not begun"),
        ({"ended_at": NOW}, "its trail says"),
        ({"ended_at": None}, "its trail says"),
        ({"outcome": Outcome.LEASE_LOST}, "its trail says"),
        ({"counts_as_failure": None}, "is counted before"),
    ],
)
def test_an_attempt_that_is_not_the_trails_is_found(change: dict[str, Any], words: str) -> None:
    """Any: the value is that of whichever field is changed."""
    trail, (first, second) = _life()
    faulty = _found(trail, attempts=[first, replace(second, **change)])
    assert words in checks.attempt_rows(faulty).faults[0]
    assert "attempts have a row" in checks.attempt_rows(_found(trail, attempts=[first])).faults[0]


@pytest.mark.parametrize(
    ("seals", "faulty"),
    [([(1, 1), (2, 2)], []), ([(1, 2), (2, 1)], [2]), ([(2, 1)], [1])],
)
def test_a_seal_of_a_deposed_leader_is_found(
    seals: list[tuple[int, int]], faulty: list[int]
) -> None:
    """It is found by the term of the previous seal and by the entries in its range."""
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
