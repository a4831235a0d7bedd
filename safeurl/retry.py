"""Which outcomes are tried again, and when."""

from collections.abc import Sequence
from datetime import timedelta

from safeurl.model.attempt import Attempt
from safeurl.state import Outcome

#: How long to wait before the second, third and fourth attempt; the last one repeats.
BACKOFF: tuple[timedelta, ...] = tuple(timedelta(minutes=m) for m in (1, 2, 4))

#: Outcomes that say nothing about the page, so that another attempt may end otherwise. After a lost
#: worker there is no pause; what the sandbox needs may take a while to come back.
RETRIED: frozenset[Outcome] = frozenset({Outcome.SANDBOX_UNAVAILABLE, Outcome.LEASE_LOST})


def retry_delay(
    outcome: Outcome, failures: int, max_retries: int, backoff: Sequence[timedelta] = BACKOFF
) -> timedelta | None:
    """Return how long to wait after the latest of `failures` attempts ended so; None for no retry.

    `failures` counts from 1: an attempt has just failed.
    """
    if outcome not in RETRIED or failures > max_retries:
        return None
    if outcome is Outcome.LEASE_LOST:
        return timedelta(0)
    return backoff[min(failures, len(backoff)) - 1]


def failures(attempts: Sequence[Attempt]) -> int:
    """Count the attempts that used up one of the scan's retries; one that runs is not counted."""
    return sum(attempt.counts_as_failure is True for attempt in attempts)
