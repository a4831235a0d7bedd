"""There is no gap between the phases of an attempt; a time that clocks cannot give is unknown."""

from datetime import timedelta
from typing import get_args

import pytest

from safeurl.model.attempt import PHASES, SandboxFacts
from safeurl.model.records.wakeup import Arrival
from tests.support.builders import NOW
from worker.attempt.phase_timer import Phase, PhaseTimer


class _Clock:
    """A monotonic clock that the test advances."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def _arrival(pushed_s: float | None = 0.004, taken_s: float = 0.006) -> Arrival:
    """Return an arrival, in seconds after `NOW`; the attempt's process begins 9 ms after it."""
    return Arrival(
        pushed_at=None if pushed_s is None else NOW + timedelta(seconds=pushed_s),
        taken_at=NOW + timedelta(seconds=taken_s),
        taken_s=1000.0 - 0.009,
    )


def test_the_phases_add_up_to_the_whole() -> None:
    """From the time when the scan was due to the end of the last phase, with nothing between."""
    clock = _Clock()
    timer = PhaseTimer(_arrival(), monotonic=clock)
    for phase in get_args(Phase):
        clock.now_s += 0.01 * len(phase)
        timer.end(phase)
    timer.waited_since(NOW)
    times = timer.added_to(None)
    found = [getattr(times, f"{phase}_ms") for phase in PHASES]
    assert found == pytest.approx([4.0, 2.0, 9.0, 50.0, 70.0, 40.0, 50.0, 50.0, 50.0, 70.0])
    assert sum(found) == pytest.approx(6.0 + 9.0 + (clock.now_s - 1000.0) * 1000)


def test_the_facts_of_the_sandbox_stay_as_they_are() -> None:
    """Phases that have not ended are not known."""
    clock = _Clock()
    timer = PhaseTimer(_arrival(), monotonic=clock)
    clock.now_s += 0.5
    timer.end("claim")
    facts = timer.added_to(SandboxFacts(start_kind="warm", run_ms=3.0))
    assert (facts.start_kind, facts.run_ms, facts.claim_ms) == ("warm", 3.0, 500.0)
    assert facts.fetch_ms is None


def test_a_phase_that_comes_twice_is_added_up() -> None:
    """As where a sandbox from the pool is of no use and the next one is prepared."""
    clock = _Clock()
    timer = PhaseTimer(None, monotonic=clock)
    for _ in range(2):
        clock.now_s += 0.25
        timer.end("prepare")
    assert timer.added_to(None).prepare_ms == 500.0


def test_what_no_clock_says_is_not_known() -> None:
    """A wake-up without its time, no wake-up at all, and clocks of hosts that differ."""
    cases = {
        "no time": (_arrival(pushed_s=None), (None, None, 9.0)),
        "no wake-up": (None, (None, None, None)),
        "the sender's clock is behind": (_arrival(pushed_s=-1.0), (None, 6.0, 9.0)),
        "the worker's clock is behind": (_arrival(taken_s=-2.0), (4.0, None, 9.0)),
        "another boot": (
            Arrival(pushed_at=NOW, taken_at=NOW, taken_s=5000.0),
            (0.0, 0.0, None),
        ),
    }
    for name, (arrival, wanted) in cases.items():
        timer = PhaseTimer(arrival, monotonic=_Clock())
        timer.waited_since(NOW)
        times = timer.added_to(None)
        assert (times.push_ms, times.wake_ms, times.dispatch_ms) == wanted, name


def test_a_wake_up_of_before_the_pause_does_not_wait_through_it() -> None:
    """A second wake-up for the scan stays on the queue while the first one's attempt runs."""
    timer = PhaseTimer(_arrival(pushed_s=-3600.0, taken_s=0.25), monotonic=_Clock())
    timer.waited_since(NOW)
    times = timer.added_to(None)
    assert (times.push_ms, times.wake_ms) == (None, 250.0)


def test_every_phase_is_measured() -> None:
    """The phases of the attempt's process, and the three before it, in their order."""
    assert ("push", "wake", "dispatch", *get_args(Phase)) == PHASES
