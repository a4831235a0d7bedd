"""The store of scans: new scans and their stored data."""

from collections.abc import Sequence
from typing import Protocol

from safeurl.model.scan import Artefact, Result, Scan, VerdictSummary


class ScanIntake(Protocol):
    """Records new scans."""

    async def add(self, scans: Sequence[Scan]) -> None:
        """Insert new QUEUED scans at version 0, either all or none."""


class ScanLookup(Protocol):
    """Finds a scan by its id."""

    async def get(self, scan_id: str) -> Scan | None:
        """Return the scan, or None if there is none."""


class EvidenceReader(Protocol):
    """Reads stored evidence."""

    async def evidence(self, scan_id: str) -> str | None:
        """Return the stored evidence as JSON, or None if there is none."""


class ScanReader(ScanLookup, Protocol):
    """Reads scans, one by one and in lists."""

    async def page(self, *, limit: int, before: str | None = None) -> list[Scan]:
        """Return the scans whose id is lower than `before`, newest first, by id.

        Rows that cannot be read are left out.
        """

    async def summaries(self, scan_ids: Sequence[str]) -> dict[str, VerdictSummary]:
        """Return the verdicts of the final scans among these, by id."""


class ScanStore(ScanIntake, ScanReader, EvidenceReader, Protocol):
    """The database: the only authority about scans.

    Each method of each part of the store executes one batch of statements, either completely or
    not at all.
    """

    async def result(self, scan_id: str) -> Result | None:
        """Return the result of a final scan."""

    async def artefacts(self, scan_id: str) -> list[Artefact]:
        """Return the artefacts of a scan, by kind."""
