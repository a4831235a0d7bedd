"""Leadership of one worker over all hosts."""

from datetime import datetime
from typing import Protocol

from safeurl.model.scan import LeaderTerm


class Leadership(Protocol):
    """One leader at a time, by a lease with a number that fences its writes."""

    async def lead(self, holder: str, *, now: datetime, until: datetime) -> LeaderTerm:
        """Renew the holder's own term, or begin a new one where none holds; return the newest.

        Who is not its holder does not lead. A term that ends later than `until` by more than
        `CLOCK_SKEW` was made before the clock was set back, and holds no longer.
        """

    async def resign(self, holder: str, *, now: datetime) -> None:
        """End the newest term now if it is this holder's, so that the next may begin at once."""
