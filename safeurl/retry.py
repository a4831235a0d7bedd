"""Which outcomes are tried again, and when."""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from safeurl.state import Outcome

#: How long to wait before the second, third and fourth attempt; the last one repeats.
BACKOFF: tuple[timedelta, ...] = tuple(timedelta(minutes=m) for m in (1, 2, 4))

#: Outcomes that say nothing about the page, so that another attempt may end otherwise.
RETRIED: Mapping[Outcome, tuple[timedelta, ...]] = MappingProxyType(
    {Outcome.SANDBOX_UNAVAILABLE: BACKOFF, Outcome.LEASE_LOST: (timedelta(0),)}
)


def retry_delay(outcome: Outcome, attempt: int, max_retries: int) -> timedelta | None:
    """Return how long to wait after `attempt` (1 is the first) ended so, or None for no retry."""
    delays = RETRIED.get(outcome)
    if delays is None or attempt > max_retries:
        return None
    return delays[min(attempt, len(delays)) - 1]
