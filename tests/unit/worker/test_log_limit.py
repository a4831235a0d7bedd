"""Trouble that lasts is told less and less often."""

import itertools

import pytest

from worker.runtime.log_limit import LogLimit


def _times(step_s: float, until_s: float, words: str = "full") -> list[float]:
    limit, told, now_s = LogLimit(), [], 0.0
    while now_s <= until_s:
        if limit.is_due(words, now_s):
            told.append(now_s)
        now_s += step_s
    return told


@pytest.mark.parametrize("step_s", [0.5, 1.0, 2.5])
def test_the_same_words_come_twice_as_late_each_time(step_s: float) -> None:
    """At once, then after 5, 10, 20 seconds and so on, however often somebody would say them."""
    assert _times(step_s, 200.0) == [0.0, 5.0, 15.0, 35.0, 75.0, 155.0]


def test_there_is_a_longest_silence() -> None:
    """Who looks at the end of a log sees what is wrong."""
    told = _times(2.0, 3600.0)
    gaps = [after - before for before, after in itertools.pairwise(told)]
    assert max(gaps) <= 302.0


def test_other_words_are_told_at_once_and_old_ones_again_after_a_while() -> None:
    """A trouble that has passed and comes again is news."""
    limit = LogLimit()
    assert limit.is_due("full", 0.0)
    assert limit.is_due("locked", 0.1)
    assert not limit.is_due("full", 1.0)
    assert not limit.is_due("locked", 1.0)
    assert limit.is_due("full", 60.0)


def test_it_does_not_grow() -> None:
    """Words that differ each time are all told, and forgotten."""
    limit = LogLimit()
    assert all(limit.is_due(f"error {number}", 0.0) for number in range(1000))
