"""The shipped fake: all three ports in this process's memory, gone when it ends.

For tests and trials; it passes the same contract suite as the real stores, so what the database
refuses is refused here too. Every method runs without awaiting, hence all of it or nothing.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec

from safeurl.adapters.memory.audit import MemoryLedger
from safeurl.adapters.memory.leadership import MemoryLeadership
from safeurl.errors import RowRefusedError
from safeurl.model.scan import (
    Artefact,
    AuditEntry,
    Metrics,
    Result,
    Scan,
    VerdictSummary,
    WorkerBeat,
)
from safeurl.model.verdict import Judgement
from safeurl.ports.clock import CLOCK_SKEW
from safeurl.ports.queue import Waiting
from safeurl.ports.scans import FinalRecord, Unreadable, ignore
from safeurl.state import INFRASTRUCTURE_OUTCOMES, Outcome, State, is_legal


class MemoryStore(MemoryLedger, MemoryLeadership):
    """`ScanStore` in dictionaries."""

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self._scans: dict[str, Scan] = {}
        #: Scans that are passed over as if their rows were damaged.
        self.unreadable: set[str] = set()
        self._results: dict[str, Result] = {}
        self._evidence: dict[str, str] = {}
        self._artefacts: dict[str, dict[tuple[str, str], Artefact]] = {}
        self._audit: list[AuditEntry] = []
        self._workers: dict[str, WorkerBeat] = {}

    async def add(self, scans: Sequence[Scan]) -> None:
        """Leave the very same scan alone; refuse another one of the same id."""
        fresh = [scan for scan in scans if not self._is_known(scan)]
        if len({scan.id for scan in fresh} - self._scans.keys()) < len(fresh):
            raise RowRefusedError("The id is taken.")
        for scan in fresh:
            _check_new(scan)
        for scan in fresh:
            self._scans[scan.id] = scan
            self._tell(scan, "submitted", actor=scan.source, at=scan.created_at, to=scan.state)

    async def get(self, scan_id: str) -> Scan | None:
        """Look it up."""
        return self._scans.get(scan_id)

    async def page(self, *, limit: int, before: str | None = None) -> list[Scan]:
        """Sort by id, downwards."""
        ids = sorted((i for i in self._scans if before is None or i < before), reverse=True)
        return [self._scans[scan_id] for scan_id in ids[:limit]]

    async def claim(
        self, scan_id: str, *, owner: str, now: datetime, lease_until: datetime
    ) -> Scan | None:
        """Guarded by QUEUED and due."""
        scan = self._scans.get(scan_id)
        if scan is None or not _is_due(scan, now, settled=now + CLOCK_SKEW):
            return None
        claimed = replace(
            scan,
            state=State.FETCHING,
            attempt=scan.attempt + 1,
            lease_owner=owner,
            lease_until=lease_until,
            outcome=None,
            detail=None,
        )
        return self._move(scan, claimed, now=now, actor=owner)

    async def renew_lease(self, scan: Scan, *, lease_until: datetime) -> bool:
        """Guarded by owner and attempt besides."""
        held = self._scans.get(scan.id)
        if held is None or not _is_same(held, scan) or held.lease_owner is None:
            return False
        if (held.lease_owner, held.attempt) != (scan.lease_owner, scan.attempt):
            return False
        self._scans[scan.id] = replace(held, lease_until=lease_until)
        return True

    async def begin_analysis(  # noqa: PLR0913 - one keyword per thing that the move stores
        self,
        scan: Scan,
        *,
        outcome: Outcome,
        detail: str | None,
        evidence_json: str,
        artefacts: Sequence[Artefact] = (),
        now: datetime,
        actor: str,
    ) -> Scan | None:
        """Keep the lease; keep the evidence."""
        held = self._guarded(scan, State.ANALYZING)
        if held is None:
            return None
        self._keep_evidence(scan, evidence_json)
        self._keep_artefacts(scan, artefacts)
        analysing = replace(held, state=State.ANALYZING, outcome=outcome, detail=detail)
        return self._move(held, analysing, now=now, actor=actor)

    async def finish(
        self, scan: Scan, ending: FinalRecord, *, now: datetime, actor: str, term: int | None = None
    ) -> Scan | None:
        """Keep all that the ending brings."""
        held = self._guarded(scan, ending.state, term)
        if held is None:
            return None
        self._keep(held, ending)
        ended = replace(
            held,
            state=ending.state,
            outcome=ending.outcome,
            detail=ending.detail,
            finished_at=now,
            lease_owner=None,
            lease_until=None,
        )
        return self._move(held, ended, now=now, actor=actor)

    async def requeue(  # noqa: PLR0913 - one keyword per column that the move sets
        self,
        scan: Scan,
        *,
        outcome: Outcome,
        detail: str | None,
        run_after: datetime,
        now: datetime,
        actor: str,
        term: int | None = None,
    ) -> Scan | None:
        """Outcome and detail stay on the waiting scan until it is claimed again."""
        held = self._guarded(scan, State.QUEUED, term)
        if held is None:
            return None
        waiting = replace(
            held,
            state=State.QUEUED,
            outcome=outcome,
            detail=detail,
            run_after=run_after,
            lease_owner=None,
            lease_until=None,
        )
        return self._move(held, waiting, now=now, actor=actor)

    async def note(  # noqa: PLR0913 - one keyword per guard and column of the line
        self,
        scan: Scan,
        *,
        event: str,
        detail: str,
        now: datetime,
        actor: str,
        term: int | None = None,
    ) -> None:
        """Guarded like any write; the names of the trail's own events are not free."""
        if event in {"submitted", "transition"}:
            raise RowRefusedError(f"A note is not called {event}.")
        held = self._scans.get(scan.id)
        if held is not None and _is_same(held, scan, term) and self._is_fenced_in(term):
            self._tell(replace(held, outcome=None, detail=detail), event, actor=actor, at=now)

    async def due(
        self, *, now: datetime, limit: int, on_unreadable: Unreadable = ignore
    ) -> list[Scan]:
        """Sort by `run_after`, those that were tried before the others."""
        due = [scan for scan in self._scans.values() if _is_due(scan, now, settled=now)]
        ordered = sorted(due, key=lambda scan: (scan.attempt == 0, scan.run_after, scan.id))
        return self._readable(ordered, on_unreadable)[:limit]

    async def leased(
        self, *, limit: int, until: datetime | None = None, on_unreadable: Unreadable = ignore
    ) -> list[Scan]:
        """Sort by `lease_until`."""
        leases = ((s.lease_until, s.id) for s in self._scans.values() if s.lease_until is not None)
        ending = sorted(lease for lease in leases if until is None or lease[0] <= until)
        held = [self._scans[scan_id] for _, scan_id in ending]
        return self._readable(held, on_unreadable)[:limit]

    def _readable(self, scans: Sequence[Scan], on_unreadable: Unreadable) -> list[Scan]:
        for scan in scans:
            if scan.id in self.unreadable:
                on_unreadable(scan.id)
        return [scan for scan in scans if scan.id not in self.unreadable]

    async def result(self, scan_id: str) -> Result | None:
        """Look it up."""
        return self._results.get(scan_id)

    async def judged(self, scan_ids: Sequence[str]) -> dict[str, VerdictSummary]:
        """Look them up."""
        found = [self._results[each] for each in scan_ids if each in self._results]
        return {
            each.scan_id: VerdictSummary(
                scan_id=each.scan_id, score=each.score, verdict=each.verdict
            )
            for each in found
        }

    async def evidence(self, scan_id: str) -> str | None:
        """Look it up."""
        return self._evidence.get(scan_id)

    async def artefacts(self, scan_id: str) -> list[Artefact]:
        """Sort by kind."""
        return [artefact for _, artefact in sorted(self._artefacts.get(scan_id, {}).items())]

    async def audit(self, scan_id: str) -> list[AuditEntry]:
        """Keep to the order of writing."""
        return [entry for entry in self._audit if entry.scan_id == scan_id]

    async def beat(self, beat: WorkerBeat) -> None:
        """Overwrite the last one."""
        self._workers[beat.id] = beat

    async def retire(self, worker_id: str) -> None:
        """Forget a worker that ends."""
        self._workers.pop(worker_id, None)

    async def forget_workers(self, *, silent_since: datetime) -> None:
        """Forget those whose last beat is older."""
        silent = [beat.id for beat in self._workers.values() if beat.beat_at < silent_since]
        for worker_id in silent:
            await self.retire(worker_id)

    async def workers(self, *, since: datetime) -> list[WorkerBeat]:
        """Put the freshest first."""
        heard = sorted(self._workers.values(), key=lambda beat: beat.id)
        fresh = [beat for beat in heard if beat.beat_at >= since]
        return sorted(fresh, key=lambda beat: beat.beat_at, reverse=True)

    async def metrics(self, *, now: datetime) -> Metrics:
        """Count everything; there is no index to spare."""
        scans = self._scans.values()
        pending = [scan.created_at for scan in scans if scan.state is State.QUEUED]
        hour_ago = _minute(now - timedelta(hours=1))
        finished = [(scan, scan.finished_at) for scan in scans if scan.finished_at is not None]
        ended = [scan for scan, at in finished if _minute(at) > hour_ago]
        completed = sum(scan.state is State.COMPLETED for scan in ended)
        cancelled = sum(scan.outcome is Outcome.CANCELLED for scan in ended)
        return Metrics(
            pending=len(pending),
            in_progress=sum(scan.lease_until is not None for scan in scans),
            recently_completed=completed,
            recently_failed=len(ended) - completed - cancelled,
            recently_cancelled=cancelled,
            recently_broken=sum(scan.outcome in INFRASTRUCTURE_OUTCOMES for scan in ended),
            oldest_pending_at=min(pending, default=None),
        )

    async def migrate(self) -> list[int]:
        """Have no schema to migrate."""
        return []

    async def ping(self) -> None:
        """Answer always."""

    async def require_schema(self) -> None:
        """Have no schema that could be missing."""

    async def close(self) -> None:
        """Hold nothing that needs releasing."""

    def _is_known(self, scan: Scan) -> bool:
        known = self._scans.get(scan.id)
        return known is not None and _submission(known) == _submission(scan)

    def _guarded(self, scan: Scan, new: State, term: int | None = None) -> Scan | None:
        if not is_legal(scan.state, new):
            raise RowRefusedError(f"A scan does not move from {scan.state} to {new}.")
        if not self._is_fenced_in(term):
            return None
        held = self._scans.get(scan.id)
        return held if held is not None and _is_same(held, scan, term) else None

    def _keep(self, scan: Scan, ending: FinalRecord) -> None:
        _check_result(ending.result)
        if ending.evidence_json is not None:
            self._keep_evidence(scan, ending.evidence_json)
        self._keep_artefacts(scan, ending.artefacts)
        self._results[scan.id] = replace(ending.result, scan_id=scan.id, outcome=ending.outcome)

    def _keep_evidence(self, scan: Scan, document: str) -> None:
        """Take the place of another attempt's, with its artefacts."""
        _check_json(document)
        self._evidence[scan.id] = document
        self._artefacts.pop(scan.id, None)

    def _keep_artefacts(self, scan: Scan, artefacts: Sequence[Artefact]) -> None:
        kept = self._artefacts.setdefault(scan.id, {})
        for artefact in artefacts:
            kept.setdefault((artefact.kind, artefact.sha256), artefact)

    def _move(self, old: Scan, new: Scan, *, now: datetime, actor: str) -> Scan:
        moved = replace(new, version=old.version + 1, updated_at=now)
        self._scans[moved.id] = moved
        self._tell(moved, "transition", actor=actor, at=now, origin=old.state, to=moved.state)
        return moved

    def _tell(  # noqa: PLR0913 - one keyword per column of the trail
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


class MemoryQueue:
    """`WakeQueue` in a list, oldest first."""

    def __init__(self) -> None:
        """Begin empty."""
        #: The next one first.
        self.ids: dict[str, None] = {}

    async def push(self, scan_ids: Sequence[str], *, first: bool = False) -> None:
        """Append, or insert before all; an id that waits already keeps its place or moves ahead."""
        given = dict.fromkeys(scan_ids)
        self.ids = given | self.ids if first else self.ids | given

    async def waiting(self, *, limit: int) -> Waiting:
        """Return the front."""
        return Waiting(frozenset(list(self.ids)[:limit]), len(self.ids) <= limit)

    async def ping(self) -> int:
        """Count them."""
        return len(self.ids)

    async def refused(self) -> int:
        """Refuse none: nobody else can write here."""
        return 0

    async def close(self) -> None:
        """Hold nothing that needs releasing."""


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _is_due(scan: Scan, now: datetime, *, settled: datetime) -> bool:
    due = scan.run_after <= settled or scan.updated_at > now + CLOCK_SKEW
    return scan.state is State.QUEUED and due


def _is_same(held: Scan, scan: Scan, term: int | None = None) -> bool:
    as_seen = term is None or held.lease_until == scan.lease_until
    return as_seen and (held.version, held.state) == (scan.version, scan.state)


def _submission(scan: Scan) -> tuple[object, ...]:
    return scan.url, scan.submitted_url, scan.source, scan.created_at


def _check_new(scan: Scan) -> None:
    if (scan.state, scan.version, scan.attempt) != (State.QUEUED, 0, 0):
        raise RowRefusedError("A new scan is QUEUED at version 0 and attempt 0.")
    if None in {scan.created_at.tzinfo, scan.updated_at.tzinfo, scan.run_after.tzinfo}:
        raise RowRefusedError("A time says no time zone.")


def _check_result(result: Result) -> None:
    if not 0 <= result.score <= 100:  # noqa: PLR2004 - the bounds of a score
        raise RowRefusedError("A score lies between 0 and 100.")
    if result.verdict not in list(Judgement):
        raise RowRefusedError(f"{result.verdict!r} is no verdict.")
    _check_json(result.verdict_json)


def _check_json(document: str) -> None:
    try:
        msgspec.json.decode(document)
    except msgspec.MsgspecError as exc:
        raise RowRefusedError("The document is not JSON.") from exc
