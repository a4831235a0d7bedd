"""Counts of scans, for health, and the times of their attempts."""

from datetime import datetime
from typing import Protocol

from safeurl.model.attempt import Attempt
from safeurl.model.scan import Metrics


class MetricsReader(Protocol):
    """Counts scans without reading them."""

    async def metrics(self, *, now: datetime) -> Metrics:
        """Return the numbers of scans that wait, that are leased, and that ended in the last hour.

        The hour is exact to the minute. The cost depends only on the number of leased scans.
        """


class AttemptHistory(Protocol):
    """Reads what the last attempts took."""

    async def recent_attempts(self, *, limit: int, since: datetime | None = None) -> list[Attempt]:
        """Return attempts that have ended, those of the newest scan first.

        With `since`, only those of scans that were submitted then or later. Rows that cannot be
        read are left out. The cost grows with `limit`, not with the number of scans.
        """
