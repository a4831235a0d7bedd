"""Reads scans: one scan, one scan with all its data, a page of scans, and verdicts."""

from collections.abc import Sequence

from safeurl.errors import RequestError, ScanNotFoundError
from safeurl.model.scan import Scan, VerdictSummary, is_scan_id
from safeurl.model.verdict import is_concluded
from safeurl.model.view import ScanView
from safeurl.ports.scans import ScanLookup, ScanReader
from safeurl.ports.view import ViewReader
from safeurl.state import is_final

MAX_PAGE = 200


async def find(store: ScanLookup, scan_id: str) -> Scan:
    """Return the scan, or raise ScanNotFoundError."""
    # Text that is not an id may contain lone surrogates, which no database accepts.
    found = await store.get(scan_id) if scan_id.isascii() else None
    if found is None:
        raise ScanNotFoundError(scan_id)
    return found


async def view(store: ViewReader, scan_id: str) -> ScanView:
    """Return the scan with all its data of one moment, or raise ScanNotFoundError."""
    found = await store.view(scan_id) if scan_id.isascii() else None
    if found is None:
        raise ScanNotFoundError(scan_id)
    return found


async def page(store: ScanReader, *, limit: int, before: str | None = None) -> list[Scan]:
    """Return scans, newest first; `before` is the last id of the previous page."""
    if not 0 < limit <= MAX_PAGE:
        raise RequestError(f"`limit` must lie between 1 and {MAX_PAGE}.")
    if before is not None and not is_scan_id(before):
        raise RequestError("`before` must be the id of a scan.")
    return await store.page(limit=limit, before=before)


async def summaries(store: ScanReader, scans: Sequence[Scan]) -> dict[str, VerdictSummary]:
    """Return the verdicts of the final scans among these, by id.

    A scan that was cancelled before it had a verdict is left out.
    """
    final = {scan.id: scan for scan in scans if is_final(scan.state)}
    found = await store.summaries(list(final))
    return {key: each for key, each in found.items() if is_concluded(final[key], each.verdict)}
