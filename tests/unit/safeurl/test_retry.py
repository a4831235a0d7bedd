"""Which outcomes are tried again, how often and after how long."""

from datetime import timedelta

import pytest

from safeurl.retry import RETRIED, retry_delay
from safeurl.state import ANALYZED_OUTCOMES, Outcome


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - set(RETRIED)))
def test_an_outcome_that_says_something_of_the_page_is_final(outcome: Outcome) -> None:
    """The page would do the same again, so with every setting there is no second attempt."""
    assert retry_delay(outcome, failures=1, max_retries=100) is None


def test_only_our_own_failures_are_retried() -> None:
    """A missing sandbox and a lost worker are the two that are ours."""
    assert set(RETRIED) == {Outcome.SANDBOX_UNAVAILABLE, Outcome.LEASE_LOST}
    assert not ANALYZED_OUTCOMES & set(RETRIED)


@pytest.mark.parametrize(("attempt", "minutes"), [(1, 1), (2, 2), (3, 4), (4, 4), (50, 4)])
def test_a_missing_sandbox_is_waited_for_longer_each_time(attempt: int, minutes: int) -> None:
    """One, two, then four minutes for good."""
    delay = retry_delay(Outcome.SANDBOX_UNAVAILABLE, failures=attempt, max_retries=100)
    assert delay == timedelta(minutes=minutes)


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_a_lost_scan_is_tried_again_at_once(attempt: int) -> None:
    """The worker is lost, so there is no reason to wait."""
    assert retry_delay(Outcome.LEASE_LOST, failures=attempt, max_retries=3) == timedelta(0)


@pytest.mark.parametrize("outcome", sorted(RETRIED))
@pytest.mark.parametrize("max_retries", [0, 1, 3])
def test_there_are_as_many_retries_as_the_setting_says(outcome: Outcome, max_retries: int) -> None:
    """The first attempt is not a retry: `max_retries` of 3 gives four attempts at most."""
    for attempt in range(1, max_retries + 1):
        assert retry_delay(outcome, attempt, max_retries) is not None
    assert retry_delay(outcome, max_retries + 1, max_retries) is None
