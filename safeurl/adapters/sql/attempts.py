"""`AttemptStore` over SQL; see the port for the contract."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from safeurl.adapters.sql import models
from safeurl.adapters.sql.backlog import due_args
from safeurl.adapters.sql.base import SQLBase
from safeurl.adapters.sql.database import Row, Statement, Value
from safeurl.adapters.sql.rows import as_json, columns, first, new_change_id, parse, stamp
from safeurl.adapters.sql.statements import attempts as statements
from safeurl.errors import RowRefusedError, RowUnreadableError
from safeurl.model.attempt import Attempt, FinalRecord, SandboxFacts
from safeurl.model.scan import Artefact, Scan, first_scan_id
from safeurl.ports.clock import CLOCK_SKEW
from safeurl.state import Outcome, State, is_legal

#: Evidence and artefacts belong to one attempt: the new ones replace the old ones.
_NEW_EVIDENCE = (statements.PUT_EVIDENCE, statements.DROP_ARTEFACTS)


class SQLAttempts(SQLBase):
    """`AttemptStore` without `get`; see the port for the contract."""

    async def attempts(self, scan_id: str) -> list[Attempt]:
        """Read the rows by their primary key."""
        rows = await self._read(statements.ATTEMPTS, id=scan_id)
        return parse(models.ScanAttempt, Attempt, rows)

    async def recent_attempts(self, *, limit: int, since: datetime | None = None) -> list[Attempt]:
        """Walk the primary key, which begins with the time of submission."""
        first_id = "" if since is None else first_scan_id(since)
        args: dict[str, Value] = {"first": first_id, "limit": limit}
        try:
            rows = await self._read(statements.RECENT_ATTEMPTS, **args)
        except RowUnreadableError:
            rows = await self._readable_rows(args)
        found: list[Attempt] = []
        for row in rows:
            with suppress(RowUnreadableError):
                found += parse(models.ScanAttempt, Attempt, [row])
        return found

    async def _readable_rows(self, args: Mapping[str, Value]) -> list[Row]:
        """Return the rows one by one, without those that the database itself cannot read."""
        rows: list[Row] = []
        for key in await self._read(statements.RECENT_KEYS, **args):
            with suppress(RowUnreadableError):
                rows += await self._read(statements.ATTEMPT, **key)
        return rows

    async def claim(
        self, scan_id: str, *, owner: str, now: datetime, lease_until: datetime
    ) -> Scan | None:
        """Update the row if it is QUEUED and due; there is no earlier version to compare."""
        lease = {"owner": owner, "now": stamp(now), "lease_until": stamp(lease_until)}
        args = lease | due_args(now) | {"settled": stamp(now + CLOCK_SKEW)}
        return await self._change(scan_id, [statements.CLAIM], args)

    async def renew_lease(self, scan: Scan, *, lease_until: datetime) -> bool:
        """Update the row if owner and attempt match too."""
        args = columns(scan) | _fence(None, scan) | {"lease_until": stamp(lease_until)}
        (rows,) = await self._write([Statement.of(statements.RENEW, args)])
        return bool(rows)

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
        """Write evidence, artefacts, sandbox and move in one batch."""
        batch = [*_NEW_EVIDENCE, statements.PUT_ARTEFACTS, statements.BEGIN_ANALYSIS]
        args = {
            "outcome": outcome.value,
            "detail": detail,
            "document": evidence_json,
            "artefacts": as_json(artefacts),
            "now": stamp(now),
            "actor": actor,
        }
        return await self._move(scan, State.ANALYZING, batch, args, sandbox=sandbox)

    async def finish(
        self, scan: Scan, ending: FinalRecord, *, now: datetime, actor: str, term: int | None = None
    ) -> Scan | None:
        """Write evidence, artefacts, result and move in one batch."""
        batch = [statements.PUT_ARTEFACTS, statements.PUT_RESULT, statements.FINISH]
        args = columns(ending.result) | {
            "artefacts": as_json(ending.artefacts),
            "outcome": ending.outcome.value,
            "detail": ending.detail,
            "now": stamp(now),
            "actor": actor,
        }
        if ending.evidence_json is not None:
            batch = [*_NEW_EVIDENCE, *batch]
            args["document"] = ending.evidence_json
        if term is not None:
            batch = [statements.PUT_END, *batch]
            args["counts_as_failure"] = None
        return await self._move(scan, ending.state, batch, args, term=term, sandbox=ending.sandbox)

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
        args = {
            "outcome": outcome.value,
            "detail": detail,
            "run_after": stamp(run_after),
            "now": stamp(now),
            "actor": actor,
            "counts_as_failure": int(counts_as_failure),
        }
        batch = [statements.PUT_END, statements.REQUEUE]
        return await self._move(scan, State.QUEUED, batch, args, term=term, sandbox=sandbox)

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
        """Insert the line if the guards hold, so that a worker without the scan writes nothing."""
        line: dict[str, Value] = {"event": event, "detail": detail, "actor": actor}
        args = columns(scan) | _fence(term, scan) | line | {"now": stamp(now)}
        await self._write([Statement.of(statements.APPEND_AUDIT, args)])

    async def _move(  # noqa: PLR0913 - what all moves share
        self,
        scan: Scan,
        new: State,
        batch: Sequence[str],
        args: Mapping[str, Value],
        *,
        term: int | None = None,
        sandbox: SandboxFacts | None = None,
    ) -> Scan | None:
        if not is_legal(scan.state, new):
            raise RowRefusedError(f"A scan does not move from {scan.state} to {new}.")
        guard = {
            "version": scan.version,
            "state": scan.state.value,
            "new_state": new.value,
            "attempt": scan.attempt,
        }
        if sandbox is not None:
            batch = [statements.PUT_SANDBOX, *batch]
            args = {**args, **columns(sandbox)}
        fence = _fence(term, scan)
        return await self._change(scan.id, batch, {**args, **guard, **fence})

    async def _change(
        self, scan_id: str, batch: Sequence[str], args: Mapping[str, Value]
    ) -> Scan | None:
        named = {**args, "id": scan_id, "change_id": new_change_id()}
        answers = await self._write(
            [Statement.of(sql, named) for sql in (*batch, statements.CHANGED)]
        )
        return first(parse(models.ScanJob, Scan, answers[-1]))


def _fence(term: int | None, scan: Scan) -> dict[str, Value]:
    seen = None if scan.lease_until is None else stamp(scan.lease_until)
    return {"term": term, "seen_lease": seen}
