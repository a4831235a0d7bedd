"""The state machine: legal moves, final states, and the states of outcomes."""

from itertools import product

import pytest

from safeurl.model.outcome_messages import OUTCOME_MESSAGES
from safeurl.state import (
    ANALYZED_OUTCOMES,
    FINAL_STATES,
    INFRASTRUCTURE_OUTCOMES,
    TRANSITIONS,
    Outcome,
    State,
    final_state,
    is_final,
    is_legal,
)
from tests.support.documents import diagram

#: ARCHITECTURE.md, section 4, written out again by hand.
LEGAL = {
    (State.QUEUED, State.FETCHING),
    (State.QUEUED, State.FAILED),
    (State.FETCHING, State.ANALYZING),
    (State.FETCHING, State.FAILED),
    (State.FETCHING, State.TIMED_OUT),
    (State.FETCHING, State.QUEUED),
    (State.ANALYZING, State.COMPLETED),
    (State.ANALYZING, State.FAILED),
    (State.ANALYZING, State.TIMED_OUT),
    (State.ANALYZING, State.QUEUED),
}


@pytest.mark.parametrize(("old", "new"), list(product(State, State)))
def test_every_pair_of_states_is_decided(old: State, new: State) -> None:
    """The table decides about each pair, as the design says."""
    assert is_legal(old, new) is ((old, new) in LEGAL)


@pytest.mark.parametrize("state", State)
def test_a_final_state_has_no_exit_and_any_other_has(state: State) -> None:
    """No state follows COMPLETED, FAILED and TIMED_OUT; every other state has a next one."""
    assert is_final(state) is (state in FINAL_STATES)
    assert is_final(state) is not bool(TRANSITIONS[state])
    assert is_final(state) is (state.value in {"COMPLETED", "FAILED", "TIMED_OUT"})


@pytest.mark.parametrize("state", State)
def test_every_state_is_reached_and_comes_to_an_end(state: State) -> None:
    """From QUEUED each state can be reached, and from each state a final one."""
    assert state in reachable(State.QUEUED)
    assert reachable(state) & FINAL_STATES


def reachable(start: State) -> set[State]:
    """Return the states that can follow, the start included."""
    found = {start}
    for _ in State:
        found |= {new for old in found for new in TRANSITIONS[old]}
    return found


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome_has_words_and_a_final_state(outcome: Outcome) -> None:
    """For every end of an attempt, the scan can end and its user gets a sentence."""
    words = OUTCOME_MESSAGES[outcome]
    assert words[0].isupper()
    assert words.endswith(".")
    assert is_final(final_state(outcome))


def test_outcomes_end_where_the_design_says() -> None:
    """A scan with a page is COMPLETED, after a timeout TIMED_OUT, otherwise FAILED."""
    ends = {outcome: final_state(outcome) for outcome in Outcome}
    assert {Outcome.OK, Outcome.BODY_TOO_LARGE} == ANALYZED_OUTCOMES
    assert {o for o, end in ends.items() if end is State.COMPLETED} == ANALYZED_OUTCOMES
    assert {o for o, end in ends.items() if end is State.TIMED_OUT} == {
        Outcome.FETCH_TIMEOUT,
        Outcome.WALL_TIMEOUT,
    }


def test_what_breaks_with_us_is_told_apart_from_what_a_page_does() -> None:
    """Health counts these: a sandbox that could not be had or crashed, a worker that was lost."""
    assert {
        Outcome.SANDBOX_UNAVAILABLE,
        Outcome.SANDBOX_CRASHED,
        Outcome.LEASE_LOST,
    } == INFRASTRUCTURE_OUTCOMES
    assert {final_state(outcome) for outcome in INFRASTRUCTURE_OUTCOMES} == {State.FAILED}


def test_the_diagram_shows_each_move_once() -> None:
    """The diagram is the table: a start, every legal move, an exit per final state."""
    lines = [line.strip() for line in diagram().splitlines()]
    moves = {f"{old} --> {new}" for old, new in LEGAL}
    ends = {f"{state} --> [*]" for state in FINAL_STATES}
    assert lines[:2] == ["stateDiagram-v2", "[*] --> QUEUED"]
    assert sorted(lines[2:]) == sorted(moves | ends)
