"""Leadership: one worker of all hosts is the leader."""

from datetime import datetime
from typing import Protocol

from safeurl.model.scan import LeaderTerm


class Leadership(Protocol):
    """Ensures one leader at a time by a lease. The number of the term guards its writes."""

    async def lead(self, holder: str, *, now: datetime, until: datetime) -> LeaderTerm:
        """Renew the holder's term, or begin a new term if none is valid; return the newest term.

        Only the holder of the returned term leads. A term that ends more than `CLOCK_SKEW` after
        `until` was made before the clock was set back, and is not valid.
        """

    async def resign(self, holder: str, *, now: datetime) -> None:
        """End the newest term now if this holder has it, so that the next can begin immediately."""
