"""`AttemptStore` in dictionaries; it refuses everything that the database refuses."""

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import datetime

import msgspec

from safeurl.adapters.memory.backlog import is_due
from safeurl.adapters.memory.leadership import MemoryLeadership
from safeurl.errors import RowRefusedError
from safeurl.model.attempt import Attempt, FinalRecord, SandboxFacts
from safeurl.model.audit import NOT_COUNTED
from safeurl.model.sandbox import Stop
from safeurl.model.scan import Artefact, Result, Scan, first_scan_id
from safeurl.model.verdict import Judgement
from safeurl.ports.clock import CLOCK_SKEW
from safeurl.retry import RETRIED
from safeurl.state import Outcome, State, is_legal

#: How the names of times and sizes end.
_COUNTED = ("_ms", "_bytes", "bytes_in", "bytes_out")


class MemoryAttempts(MemoryLeadership):
    """`AttemptStore` without `get`; see the port for the contract."""

    async def attempts(self, scan_id: str) -> list[Attempt]:
        """Read the list of the scan."""
        return list(self._attempts.get(scan_id, ()))

    async def recent_attempts(self, *, limit: int, since: datetime | None = None) -> list[Attempt]:
        """Look through all."""
        first_id = "" if since is None else first_scan_id(since)
        ended = [
            attempt
            for scan_id in sorted(self._attempts, reverse=True)
            for attempt in reversed(self._attempts[scan_id])
            if scan_id >= first_id and attempt.ended_at is not None
        ]
        return ended[:limit]

    async def claim(
        self, scan_id: str, *, owner: str, now: datetime, lease_until: datetime
    ) -> Scan | None:
        """Change the scan if it is QUEUED and due."""
        scan = self._scans.get(scan_id)
        if scan is None or not is_due(scan, now, settled=now + CLOCK_SKEW):
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
        attempt = Attempt(scan_id=scan_id, attempt=claimed.attempt, owner=owner, started_at=now)
        self._attempts.setdefault(scan_id, []).append(attempt)
        return self._move(scan, claimed, now=now, actor=owner)

    async def renew_lease(self, scan: Scan, *, lease_until: datetime) -> bool:
        """Change the scan if owner and attempt match too."""
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
        sandbox: SandboxFacts | None = None,
    ) -> Scan | None:
        """Keep the lease and store the evidence."""
        held = self._guarded(scan, State.ANALYZING)
        if held is None:
            return None
        _check_sandbox(sandbox)
        self._keep_evidence(scan, evidence_json)
        self._keep_sandbox(scan, sandbox)
        self._keep_artefacts(scan, artefacts)
        analysing = replace(held, state=State.ANALYZING, outcome=outcome, detail=detail)
        return self._move(held, analysing, now=now, actor=actor)

    async def finish(
        self, scan: Scan, ending: FinalRecord, *, now: datetime, actor: str, term: int | None = None
    ) -> Scan | None:
        """Store all parts of the final record."""
        held = self._guarded(scan, ending.state, term)
        if held is None:
            return None
        self._keep(held, ending)
        failed = ending.outcome in RETRIED
        self._end_attempt(held, ending.outcome, now, counts_as_failure=failed, term=term)
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
        counts_as_failure: bool = True,
        sandbox: SandboxFacts | None = None,
    ) -> Scan | None:
        """Keep outcome and detail on the waiting scan until it is claimed again."""
        held = self._guarded(scan, State.QUEUED, term)
        if held is None:
            return None
        _check_sandbox(sandbox)
        self._keep_sandbox(held, sandbox)
        self._end_attempt(held, outcome, now, counts_as_failure=counts_as_failure, term=term)
        waiting = replace(
            held,
            state=State.QUEUED,
            outcome=outcome,
            detail=detail,
            run_after=run_after,
            lease_owner=None,
            lease_until=None,
        )
        moved = self._move(held, waiting, now=now, actor=actor)
        if not counts_as_failure:
            note = replace(moved, outcome=None, detail=None)
            self._append_entry(note, NOT_COUNTED, actor=actor, at=now)
        return moved

    async def append_audit(  # noqa: PLR0913 - one keyword per guard and column of the line
        self,
        scan: Scan,
        *,
        event: str,
        detail: str,
        now: datetime,
        actor: str,
        term: int | None = None,
    ) -> None:
        """Append the line if the guards hold; refuse the events that moves use."""
        if event in {"submitted", "transition"}:
            raise RowRefusedError(f"A note is not called {event}.")
        held = self._scans.get(scan.id)
        if held is not None and _is_same(held, scan, term) and self._is_fenced_in(term):
            self._append_entry(
                replace(held, outcome=None, detail=detail), event, actor=actor, at=now
            )

    def _guarded(self, scan: Scan, new: State, term: int | None = None) -> Scan | None:
        if not is_legal(scan.state, new):
            raise RowRefusedError(f"A scan does not move from {scan.state} to {new}.")
        if not self._is_fenced_in(term):
            return None
        held = self._scans.get(scan.id)
        return held if held is not None and _is_same(held, scan, term) else None

    def _keep(self, scan: Scan, ending: FinalRecord) -> None:
        _check_result(ending.result)
        _check_sandbox(ending.sandbox)
        if ending.evidence_json is not None:
            self._keep_evidence(scan, ending.evidence_json)
        self._keep_artefacts(scan, ending.artefacts)
        self._keep_sandbox(scan, ending.sandbox)
        self._results[scan.id] = replace(ending.result, scan_id=scan.id, outcome=ending.outcome)

    def _keep_evidence(self, scan: Scan, document: str) -> None:
        """Replace the evidence and the artefacts of an earlier attempt."""
        _check_json(document)
        self._evidence[scan.id] = document
        self._artefacts.pop(scan.id, None)

    def _keep_artefacts(self, scan: Scan, artefacts: Sequence[Artefact]) -> None:
        kept = self._artefacts.setdefault(scan.id, {})
        for artefact in artefacts:
            kept.setdefault((artefact.kind, artefact.sha256), artefact)

    def _keep_sandbox(self, scan: Scan, sandbox: SandboxFacts | None) -> None:
        rows = self._attempts.get(scan.id)
        if sandbox is not None and rows:
            facts = {field.name: getattr(sandbox, field.name) for field in fields(SandboxFacts)}
            rows[-1] = replace(rows[-1], **facts)

    def _end_attempt(
        self,
        scan: Scan,
        outcome: Outcome,
        now: datetime,
        *,
        counts_as_failure: bool,
        term: int | None,
    ) -> None:
        """End the running attempt; a waiting scan has none."""
        if scan.lease_owner is not None:
            rows = self._attempts[scan.id]
            rows[-1] = replace(
                rows[-1],
                ended_at=now,
                outcome=outcome,
                counts_as_failure=counts_as_failure,
                term=term,
            )

    def _move(self, old: Scan, new: Scan, *, now: datetime, actor: str) -> Scan:
        moved = replace(new, version=old.version + 1, updated_at=now)
        self._scans[moved.id] = moved
        self._append_entry(
            moved, "transition", actor=actor, at=now, origin=old.state, to=moved.state
        )
        return moved


def _is_same(held: Scan, scan: Scan, term: int | None = None) -> bool:
    as_seen = term is None or held.lease_until == scan.lease_until
    return as_seen and (held.version, held.state) == (scan.version, scan.state)


def _check_result(result: Result) -> None:
    if not 0 <= result.score <= 100:  # noqa: PLR2004 - the bounds of a score
        raise RowRefusedError("A score lies between 0 and 100.")
    if result.verdict not in list(Judgement):
        raise RowRefusedError(f"{result.verdict!r} is not a verdict.")
    _check_json(result.verdict_json)


def _check_sandbox(facts: SandboxFacts | None) -> None:
    if facts is None:
        return
    if facts.start_kind not in {None, "cold", "warm"} or facts.stopped not in {None, *Stop}:
        raise RowRefusedError("A sandbox is started cold or warm and ended by a known reason.")
    names = (field.name for field in fields(SandboxFacts))
    counted = [getattr(facts, name) for name in names if name.endswith(_COUNTED)]
    if min((each for each in counted if each is not None), default=0) < 0:
        raise RowRefusedError("Times and sizes are not negative.")


def _check_json(document: str) -> None:
    try:
        msgspec.json.decode(document)
    except msgspec.MsgspecError as exc:
        raise RowRefusedError("The document is not JSON.") from exc
