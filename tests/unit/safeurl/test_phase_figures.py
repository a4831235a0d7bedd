"""The figures of phases, by start kind; together they explain the complete time."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from math import inf
from typing import Any

import pytest

from safeurl.model.attempt import PHASES
from safeurl.services.phase_figures import OTHER, path_figures, percentile, total_ms
from safeurl.state import Outcome
from tests.support.attempt_rows import COLD, WARM, make_attempt
from tests.support.builders import NOW


def test_each_kind_of_start_has_its_figures() -> None:
    """Warm before cold; medians and 95th percentiles of each phase, in the order of the phases."""
    warm = [
        make_attempt(tuple(ms * factor for ms in WARM), NOW + timedelta(seconds=factor))
        for factor in range(1, 21)
    ]
    cold = [make_attempt(COLD)]
    figures = path_figures([*cold, *warm])
    assert (figures.attempts, figures.left_out) == (21, 0)
    assert (figures.first_at, figures.last_at) == (NOW, warm[-1].ended_at)
    first, second = figures.kinds
    assert (first.start_kind, first.attempts) == ("warm", 20)
    assert (second.start_kind, second.attempts) == ("cold", 1)
    for kind in figures.kinds:
        assert [phase.phase for phase in kind.phases] == [*PHASES, OTHER]
    by_name = {phase.phase: phase for phase in first.phases}
    assert by_name["fetch"].p50_ms == 300.0
    assert by_name["fetch"].p95_ms == 570.0
    assert by_name["fetch"].share == pytest.approx(30 / sum(WARM))
    assert (second.total.p50_ms, second.total.p95_ms) == pytest.approx((sum(COLD), sum(COLD)))


def test_the_shares_are_the_whole() -> None:
    """Time that no phase explains is shown as such, so that the parts always add up."""
    attempts = [make_attempt(), make_attempt(gap_ms=57.0), make_attempt(COLD, gap_ms=3.0)]
    warm, cold = path_figures(attempts).kinds
    for kind, explained in ((warm, 2 * sum(WARM)), (cold, sum(COLD))):
        assert sum(phase.share for phase in kind.phases) == pytest.approx(1.0)
        assert kind.phases[-1].phase == OTHER
        all_ms = explained + (57.0 if kind is warm else 3.0)
        assert kind.phases[-1].share == pytest.approx(1 - explained / all_ms)
    assert warm.phases[-1].p95_ms == pytest.approx(57.0)


def test_what_did_not_go_the_whole_way_is_counted_and_left_out() -> None:
    """Running attempts, failures, retries without a page, and rows of an older version."""
    whole = make_attempt()
    others = [
        replace(whole, ended_at=None, outcome=None),
        replace(whole, analyse_ms=None, outcome=Outcome.WALL_TIMEOUT),
        replace(whole, start_kind=None, fetch_ms=None, outcome=Outcome.SANDBOX_UNAVAILABLE),
        make_attempt(claim_ms=None),
    ]
    figures = path_figures([whole, *others])
    assert (figures.attempts, figures.left_out) == (1, 4)
    assert path_figures(others) == replace(
        figures, attempts=0, first_at=None, last_at=None, kinds=()
    )


def test_an_unknown_phase_is_left_out_and_its_time_is_none() -> None:
    """Such phases are the wake-up's with different clocks, and the gateway's without one."""
    attempt = make_attempt(push_ms=None, wake_ms=None, bind_ms=None, close_ms=None)
    (kind,) = path_figures([attempt]).kinds
    names = [phase.phase for phase in kind.phases]
    assert names == ["dispatch", "claim", "prepare", "fetch", "store", "analyse", OTHER]
    assert kind.total.p50_ms == pytest.approx(sum(WARM) - 3.0)
    # The database knows that the attempt lasted so long, and no phase says what the time was.
    assert kind.phases[-1].p50_ms == pytest.approx(3.0)


def test_a_clock_that_was_set_back_gives_no_negative_time() -> None:
    """The end may then be before the beginning; the monotonic clock has measured the phases."""
    attempt = make_attempt(ended_at=NOW - timedelta(hours=1))
    assert total_ms(attempt) == pytest.approx(sum(WARM))
    (kind,) = path_figures([attempt]).kinds
    assert kind.phases[-1].p50_ms == 0.0
    assert sum(phase.share for phase in kind.phases) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "damage",
    [{"fetch_ms": inf}, {"wake_ms": 1e308}, {"bind_ms": -1.0}, {"cpu_ms": inf}, {"push_ms": 1e12}],
)
def test_times_that_cannot_be_true_are_left_out(damage: Mapping[str, Any]) -> None:
    """A damaged row costs its own figures only."""
    # Any: `replace` has fields of many types.
    whole = make_attempt()
    figures = path_figures([whole, replace(whole, **damage)])
    assert figures == replace(path_figures([whole]), left_out=1)


def test_a_percentile_is_one_of_the_values() -> None:
    """The smallest one that so many percent do not exceed."""
    assert percentile([7.0], 50) == percentile([7.0], 95) == 7.0
    assert percentile([3.0, 1.0, 2.0, 4.0], 50) == 2.0
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile(map(float, range(1, 101)), 95) == 95.0
