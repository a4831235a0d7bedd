"""Which outcomes lead to another attempt, and when it starts."""

from collections.abc import Sequence
from datetime import timedelta

from safeurl.model.attempt import Attempt
from safeurl.state import Outcome

#: The delays before the second, third and fourth attempt; later attempts have the last delay.
BACKOFF: tuple[timedelta, ...] = tuple(timedelta(minutes=m) for m in (1, 2, 4))

#: Outcomes that do not depend on the page, so that another attempt may end differently. After a
#: lost worker there is no delay. After a missing sandbox there is one, because Docker may be away.
RETRIED: frozenset[Outcome] = frozenset({Outcome.SANDBOX_UNAVAILABLE, Outcome.LEASE_LOST})


def retry_delay(
    outcome: Outcome, failures: int, max_retries: int, backoff: Sequence[timedelta] = BACKOFF
) -> timedelta | None:
    """Return the delay before the next attempt; None if there is none.

    `failures` is the number of failed attempts, at least 1. The last one had this outcome.
    """
    if outcome not in RETRIED or failures > max_retries:
        return None
    if outcome is Outcome.LEASE_LOST:
        return timedelta(0)
    return backoff[min(failures, len(backoff)) - 1]


def failures(attempts: Sequence[Attempt]) -> int:
    """Return the number of ended attempts that count as failures, and so used up a retry."""
    return sum(attempt.counts_as_failure is True for attempt in attempts)
