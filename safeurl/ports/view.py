"""Reads one scan with all its data."""

from typing import Protocol

from safeurl.model.view import ScanView


class ViewReader(Protocol):
    """Reads one scan with all its data at one moment."""

    async def view(self, scan_id: str) -> ScanView | None:
        """Return the scan with all its data, or None if there is no such scan.

        All data is read in one snapshot: a result never comes with a state that is not final.
        """
