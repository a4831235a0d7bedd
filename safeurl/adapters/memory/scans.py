"""`ScanStore` in dictionaries."""

from collections.abc import Sequence

from safeurl.adapters.memory.base import MemoryBase
from safeurl.errors import RowRefusedError
from safeurl.model.scan import Artefact, Result, Scan, VerdictSummary
from safeurl.state import State


class MemoryScans(MemoryBase):
    """`ScanStore`; see the port for the contract."""

    async def add(self, scans: Sequence[Scan]) -> None:
        """Store the scans; ignore an equal scan, and refuse a different one with the same id."""
        fresh = [scan for scan in scans if not self._is_known(scan)]
        if len({scan.id for scan in fresh} - self._scans.keys()) < len(fresh):
            raise RowRefusedError("The id is taken.")
        for scan in fresh:
            _check_new(scan)
        for scan in fresh:
            self._scans[scan.id] = scan
            self._append_entry(
                scan, "submitted", actor=scan.source, at=scan.created_at, to=scan.state
            )

    async def get(self, scan_id: str) -> Scan | None:
        """Read the scan from the dictionary."""
        return self._scans.get(scan_id)

    async def page(self, *, limit: int, before: str | None = None) -> list[Scan]:
        """Sort by descending id."""
        ids = sorted((i for i in self._scans if before is None or i < before), reverse=True)
        return [self._scans[scan_id] for scan_id in ids[:limit]]

    async def result(self, scan_id: str) -> Result | None:
        """Read the result from the dictionary."""
        return self._results.get(scan_id)

    async def summaries(self, scan_ids: Sequence[str]) -> dict[str, VerdictSummary]:
        """Read the results from the dictionary."""
        found = [self._results[each] for each in scan_ids if each in self._results]
        return {
            each.scan_id: VerdictSummary(
                scan_id=each.scan_id, score=each.score, verdict=each.verdict
            )
            for each in found
        }

    async def evidence(self, scan_id: str) -> str | None:
        """Read the evidence from the dictionary."""
        return self._evidence.get(scan_id)

    async def artefacts(self, scan_id: str) -> list[Artefact]:
        """Sort by kind."""
        return [artefact for _, artefact in sorted(self._artefacts.get(scan_id, {}).items())]

    def _is_known(self, scan: Scan) -> bool:
        known = self._scans.get(scan.id)
        return known is not None and _submission(known) == _submission(scan)


def _submission(scan: Scan) -> tuple[object, ...]:
    return scan.url, scan.submitted_url, scan.source, scan.created_at


def _check_new(scan: Scan) -> None:
    if (scan.state, scan.version, scan.attempt) != (State.QUEUED, 0, 0):
        raise RowRefusedError("A new scan is QUEUED at version 0 and attempt 0.")
    if None in {scan.created_at.tzinfo, scan.updated_at.tzinfo, scan.run_after.tzinfo}:
        raise RowRefusedError("A time says no time zone.")
