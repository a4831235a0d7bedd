"""The backlog: scans that wait, and scans that a worker has leased."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from safeurl.model.scan import Scan

#: Receives the ids of scans whose rows cannot be read.
Unreadable = Callable[[str], None]

#: The number of unreadable rows that are skipped to find readable ones.
MOST_UNREADABLE = 1000


def ignore(_scan_id: str) -> None:
    """Report nothing about a row that cannot be read."""


class Backlog(Protocol):
    """Finds scans on which perhaps no worker works."""

    async def due(
        self, *, now: datetime, limit: int, on_unreadable: Unreadable = ignore
    ) -> list[Scan]:
        """Return QUEUED scans that are due at this time: first those with attempts, then by age.

        A row that cannot be read is left out, and its id is reported. At most `MOST_UNREADABLE`
        such rows are skipped.
        """

    async def leased(
        self, *, limit: int, until: datetime | None = None, on_unreadable: Unreadable = ignore
    ) -> list[Scan]:
        """Return FETCHING and ANALYZING scans whose lease ends by this time, earliest end first.

        Rows that cannot be read are treated as in `due`.
        """
