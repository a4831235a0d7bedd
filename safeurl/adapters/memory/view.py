"""`ViewReader` in dictionaries."""

from safeurl.adapters.memory.base import MemoryBase
from safeurl.model.view import ScanView


class MemoryViews(MemoryBase):
    """`ViewReader`; see the port for the contract."""

    async def view(self, scan_id: str) -> ScanView | None:
        """Read all dictionaries."""
        scan = self._scans.get(scan_id)
        if scan is None:
            return None
        artefacts = sorted(self._artefacts.get(scan_id, {}).items())
        return ScanView(
            scan=scan,
            result=self._results.get(scan_id),
            artefacts=tuple(artefact for _, artefact in artefacts),
            evidence_json=self._evidence.get(scan_id),
            audit=tuple(entry for entry in self._audit if entry.scan_id == scan_id),
            attempts=tuple(self._attempts.get(scan_id, ())),
        )
