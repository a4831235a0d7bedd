"""Counts of scans, for health."""

from datetime import datetime
from typing import Protocol

from safeurl.model.scan import Metrics


class MetricsReader(Protocol):
    """Counts scans without reading them."""

    async def metrics(self, *, now: datetime) -> Metrics:
        """Return the numbers of scans that wait, that are leased, and that ended in the last hour.

        The hour is exact to the minute. The cost depends only on the number of leased scans.
        """
