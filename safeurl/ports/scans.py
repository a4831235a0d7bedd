"""The store of scans: what people submit and what they read."""

from collections.abc import Sequence
from typing import Protocol

from safeurl.model.scan import Artefact, Result, Scan, VerdictSummary


class ScanIntake(Protocol):
    """Records new scans."""

    async def add(self, scans: Sequence[Scan]) -> None:
        """Insert new QUEUED scans at version 0; all or none."""


class ScanLookup(Protocol):
    """Finds a scan by its id."""

    async def get(self, scan_id: str) -> Scan | None:
        """Return the scan, or None when there is none."""


class EvidenceReader(Protocol):
    """Reads stored evidence."""

    async def evidence(self, scan_id: str) -> str | None:
        """Return the stored evidence as JSON, or None when there is none."""


class ScanReader(ScanLookup, Protocol):
    """Reads scans, one by one and in lists."""

    async def page(self, *, limit: int, before: str | None = None) -> list[Scan]:
        """Return scans newest first, by id, those older than the id `before`.

        Rows that cannot be read are left out.
        """

    async def summaries(self, scan_ids: Sequence[str]) -> dict[str, VerdictSummary]:
        """Return the verdicts of those scans that are final, by id."""


class ScanStore(ScanIntake, ScanReader, EvidenceReader, Protocol):
    """The database: the only truth about scans.

    Each method of each part of the store is one batch of statements that happens wholly or not at
    all.
    """

    async def result(self, scan_id: str) -> Result | None:
        """Return the result of a final scan."""

    async def artefacts(self, scan_id: str) -> list[Artefact]:
        """Return the artefacts of a scan, by kind."""
