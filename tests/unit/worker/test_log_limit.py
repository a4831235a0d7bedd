"""A line that is repeated is logged less and less often."""

import itertools

import pytest

from worker.runtime.log_limit import LogLimit


def _times(step_s: float, until_s: float) -> list[float]:
    """Return the times at which a line is logged that occurs at each step."""
    limit, logged, now_s = LogLimit(), [], 0.0
    while now_s <= until_s:
        if limit.is_due("full", now_s):
            logged.append(now_s)
        now_s += step_s
    return logged


@pytest.mark.parametrize("step_s", [0.5, 1.0, 2.5])
def test_the_pause_between_equal_lines_doubles(step_s: float) -> None:
    """It is logged at once, then after 5, 10, 20 seconds and so on."""
    assert _times(step_s, 200.0) == [0.0, 5.0, 15.0, 35.0, 75.0, 155.0]


def test_there_is_a_longest_pause() -> None:
    """The end of a log still shows the fault."""
    logged = _times(2.0, 3600.0)
    gaps = [after - before for before, after in itertools.pairwise(logged)]
    assert max(gaps) <= 302.0


def test_a_new_line_is_logged_at_once() -> None:
    """A line that has not occurred for some time is logged at once too."""
    limit = LogLimit()
    assert limit.is_due("full", 0.0)
    assert limit.is_due("locked", 0.1)
    assert not limit.is_due("full", 1.0)
    assert not limit.is_due("locked", 1.0)
    assert limit.is_due("full", 60.0)


def test_it_does_not_grow() -> None:
    """Lines that differ each time are all logged, and forgotten."""
    limit = LogLimit()
    assert all(limit.is_due(f"error {number}", 0.0) for number in range(1000))
