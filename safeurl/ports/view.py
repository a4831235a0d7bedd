"""Reading all about one scan."""

from typing import Protocol

from safeurl.model.view import ScanView


class ViewReader(Protocol):
    """Reads all about one scan at one moment."""

    async def view(self, scan_id: str) -> ScanView | None:
        """Return the scan with everything known about it, or None when there is none.

        All of it is of one moment: a result never stands beside a state that is not final.
        """
