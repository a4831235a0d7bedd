"""Counts of scans, for health."""

from datetime import datetime
from typing import Protocol

from safeurl.model.scan import Metrics


class MetricsReader(Protocol):
    """Counts scans without reading them."""

    async def metrics(self, *, now: datetime) -> Metrics:
        """Count the scans that wait, that are held, and that ended in the last hour.

        The hour is counted to the minute. The cost grows only with the scans that are held.
        """
