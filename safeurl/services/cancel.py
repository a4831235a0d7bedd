"""Cancels a scan that has not ended."""

from typing import Protocol

from safeurl.errors import ScanFinishedError, StoreUnavailableError
from safeurl.model.scan import Scan
from safeurl.ports.attempts import AttemptEnds
from safeurl.ports.clock import Clock
from safeurl.ports.scans import ScanLookup
from safeurl.services.conclusion import final_without_page
from safeurl.services.query import find
from safeurl.state import Outcome, is_final

#: Each move of the scan makes one try fail. All attempts of a scan make far fewer moves than this.
_CANCEL_TRIES = 50


class CancelStore(ScanLookup, AttemptEnds, Protocol):
    """The parts of the database that `cancel` needs."""


async def cancel(store: CancelStore, scan_id: str, *, actor: str, clock: Clock) -> Scan:
    """End an unfinished scan as FAILED `cancelled` and return it; its worker then stops.

    If the scan was cancelled before, return it unchanged. Raise ScanFinishedError if it has ended
    in another way, and ScanNotFoundError if it does not exist.
    """
    for _ in range(_CANCEL_TRIES):
        scan = await find(store, scan_id)
        if scan.outcome is Outcome.CANCELLED:
            return scan
        if is_final(scan.state):
            raise ScanFinishedError(scan_id, scan.state)
        now = clock()
        ending = final_without_page(scan, Outcome.CANCELLED, detail=None, now=now)
        cancelled = await store.finish(scan, ending, now=now, actor=actor)
        if cancelled is not None:
            return cancelled
    raise StoreUnavailableError(
        "The scan changed its state each time it was to be cancelled. Try again."
    )
