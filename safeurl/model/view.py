"""A scan with all its stored data."""

from dataclasses import dataclass

from safeurl.model.attempt import Attempt
from safeurl.model.scan import Artefact, AuditEntry, Result, Scan


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanView:
    """A scan with all its stored data, read at one moment."""

    scan: Scan
    #: None until the scan is final.
    result: Result | None
    artefacts: tuple[Artefact, ...]
    evidence_json: str | None
    audit: tuple[AuditEntry, ...]
    attempts: tuple[Attempt, ...] = ()
