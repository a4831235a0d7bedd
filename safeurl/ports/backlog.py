"""The backlog: scans that wait, and scans that a worker holds."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from safeurl.model.scan import Scan

#: Receives the ids of scans whose rows cannot be read.
Unreadable = Callable[[str], None]

#: So many unreadable rows hide no scan that stands behind them.
MOST_UNREADABLE = 1000


def ignore(_scan_id: str) -> None:
    """Leave out a row that cannot be read, and report nothing."""


class Backlog(Protocol):
    """Finds scans that nobody may be working on."""

    async def due(
        self, *, now: datetime, limit: int, on_unreadable: Unreadable = ignore
    ) -> list[Scan]:
        """Return QUEUED scans that are due by this clock, tried ones before others, by age.

        A row that cannot be read is left out, and its id is reported; up to `MOST_UNREADABLE` such
        rows are passed over.
        """

    async def leased(
        self, *, limit: int, until: datetime | None = None, on_unreadable: Unreadable = ignore
    ) -> list[Scan]:
        """Return FETCHING and ANALYZING scans whose lease ends by then, the soonest first.

        Rows that cannot be read are handled as in `due`.
        """
