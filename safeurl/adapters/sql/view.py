"""`ViewReader` over SQL; see the port for the contract."""

from safeurl.adapters.sql import models
from safeurl.adapters.sql.base import SQLBase
from safeurl.adapters.sql.database import Statement
from safeurl.adapters.sql.rows import first, parse
from safeurl.adapters.sql.statements import attempts, audit, scans
from safeurl.model.attempt import Attempt
from safeurl.model.scan import Artefact, AuditEntry, Result, Scan
from safeurl.model.view import ScanView

_ALL = (
    scans.GET,
    scans.RESULT,
    scans.EVIDENCE,
    scans.ARTEFACTS,
    audit.AUDIT,
    attempts.ATTEMPTS,
)


class SQLViews(SQLBase):
    """`ViewReader`; see the port for the contract."""

    async def view(self, scan_id: str) -> ScanView | None:
        """Read all tables of the scan in one read transaction."""
        batch = [Statement(sql, {"id": scan_id}) for sql in _ALL]
        found = await self._with_retries(lambda: self._database.read_all(batch))
        jobs, results, documents, artefacts, entries, tries = found
        scan = first(parse(models.ScanJob, Scan, jobs))
        if scan is None:
            return None
        evidence = [models.ScanEvidence.model_validate(row).document for row in documents]
        return ScanView(
            scan=scan,
            result=first(parse(models.ScanResult, Result, results)),
            artefacts=tuple(parse(models.ScanArtefact, Artefact, artefacts)),
            evidence_json=first(evidence),
            audit=tuple(parse(models.AuditLog, AuditEntry, entries)),
            attempts=tuple(parse(models.ScanAttempt, Attempt, tries)),
        )
