"""The base class of all parts of the memory store: its rows."""

from datetime import datetime

from safeurl.model.attempt import Attempt
from safeurl.model.scan import Artefact, AuditEntry, LeaderTerm, Result, Scan
from safeurl.model.worker import WorkerHeartbeat
from safeurl.state import State


class MemoryBase:
    """The rows of all tables. No method awaits anything, so each runs completely or not at all."""

    def __init__(self) -> None:
        """Create empty tables."""
        self._scans: dict[str, Scan] = {}
        #: Scans that are skipped as if their rows were damaged.
        self.unreadable: set[str] = set()
        self._results: dict[str, Result] = {}
        self._evidence: dict[str, str] = {}
        self._artefacts: dict[str, dict[tuple[str, str], Artefact]] = {}
        self._audit: list[AuditEntry] = []
        self._workers: dict[str, WorkerHeartbeat] = {}
        #: The attempts of each scan, oldest first.
        self._attempts: dict[str, list[Attempt]] = {}
        #: The terms, newest last.
        self._terms: list[LeaderTerm] = []

    def _append_entry(  # noqa: PLR0913 - one keyword per column of the trail
        self,
        scan: Scan,
        event: str,
        *,
        actor: str,
        at: datetime,
        origin: State | None = None,
        to: State | None = None,
    ) -> None:
        entry = AuditEntry(
            id=len(self._audit) + 1,
            scan_id=scan.id,
            event=event,
            version=scan.version,
            attempt=scan.attempt,
            from_state=origin,
            to_state=to,
            actor=actor,
            outcome=scan.outcome,
            detail=scan.detail,
            at=at,
        )
        self._audit.append(entry)
