"""Which outcomes are tried again, and when."""

from collections.abc import Sequence
from datetime import timedelta

from safeurl.state import Outcome

#: How long to wait before the second, third and fourth attempt; the last one repeats.
BACKOFF: tuple[timedelta, ...] = tuple(timedelta(minutes=m) for m in (1, 2, 4))

#: Outcomes that say nothing about the page, so that another attempt may end otherwise. A worker
#: that was lost is not waited for; what the sandbox needs may take a while to come back.
RETRIED: frozenset[Outcome] = frozenset({Outcome.SANDBOX_UNAVAILABLE, Outcome.LEASE_LOST})


def retry_delay(
    outcome: Outcome, attempt: int, max_retries: int, backoff: Sequence[timedelta] = BACKOFF
) -> timedelta | None:
    """Return how long to wait after `attempt` (1 is the first) ended so, or None for no retry."""
    if outcome not in RETRIED or attempt > max_retries:
        return None
    if outcome is Outcome.LEASE_LOST:
        return timedelta(0)
    return backoff[min(attempt, len(backoff)) - 1]
