"""`ScanStore` over SQL, the same for SQLite and libSQL; the contracts stand on the port."""

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from safeurl.adapters.sql import migrate, models, statements
from safeurl.adapters.sql.audit import SQLLedger
from safeurl.adapters.sql.database import Row, Statement, Value
from safeurl.adapters.sql.leadership import SQLLeadership
from safeurl.adapters.sql.rows import as_json, columns, parse, readable, stamp
from safeurl.errors import RowRefusedError, RowUnreadableError
from safeurl.model.scan import (
    Artefact,
    AuditEntry,
    Metrics,
    Result,
    Scan,
    VerdictSummary,
    WorkerBeat,
)
from safeurl.ports.clock import CLOCK_SKEW
from safeurl.ports.scans import MOST_UNREADABLE, FinalRecord, Unreadable, ignore
from safeurl.state import INFRASTRUCTURE_OUTCOMES, Outcome, State, is_legal

Answer = TypeVar("Answer")

#: Of a statement that selects scans; SQLite decodes no other column then.
_IDS_OF = "SELECT id FROM ({})"
#: Characters of a time up to its minute.
_MINUTE = 16

#: Evidence and artefacts are one attempt's: the new ones take the place of the old.
_NEW_EVIDENCE = (statements.PUT_EVIDENCE, statements.DROP_ARTEFACTS)


class SQLStore(SQLLedger, SQLLeadership):
    """The store over any `Database`; every batch that it sends may be repeated."""

    async def add(self, scans: Sequence[Scan]) -> None:
        """Insert all in one statement, whatever their number."""
        if scans:
            args = {"scans": as_json(scans), "change_id": _change_id()}
            await self._write([Statement.of(statements.ADD, args)])

    async def get(self, scan_id: str) -> Scan | None:
        """Look it up by its primary key."""
        return _first(await self._scans(statements.GET, id=scan_id))

    async def page(self, *, limit: int, before: str | None = None) -> list[Scan]:
        """Walk the primary key downwards, past what cannot be read."""
        found: list[Scan] = []
        while len(found) < limit:
            wanted, bad = limit - len(found), list[str]()
            rows = await self._rows(statements.PAGE, bad.append, limit=wanted, before=before)
            found += readable(models.ScanJob, Scan, rows)
            if len(rows) + len(bad) < wanted:
                break
            before = min([*bad, *(str(row["id"]) for row in rows)])
        return found

    async def claim(
        self, scan_id: str, *, owner: str, now: datetime, lease_until: datetime
    ) -> Scan | None:
        """Guarded by QUEUED and due; there is no earlier version to compare with."""
        lease = {"owner": owner, "now": stamp(now), "lease_until": stamp(lease_until)}
        args = lease | _due(now) | {"settled": stamp(now + CLOCK_SKEW)}
        return await self._change(scan_id, [statements.CLAIM], args)

    async def renew_lease(self, scan: Scan, *, lease_until: datetime) -> bool:
        """Guarded by owner and attempt besides."""
        args = columns(scan) | _in_the_name_of(None, scan) | {"lease_until": stamp(lease_until)}
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
    ) -> Scan | None:
        """Evidence, artefacts and move in one batch."""
        batch = [*_NEW_EVIDENCE, statements.PUT_ARTEFACTS, statements.BEGIN_ANALYSIS]
        args = {
            "outcome": outcome.value,
            "detail": detail,
            "document": evidence_json,
            "artefacts": as_json(artefacts),
            "now": stamp(now),
            "actor": actor,
        }
        return await self._move(scan, State.ANALYZING, batch, args)

    async def finish(
        self, scan: Scan, ending: FinalRecord, *, now: datetime, actor: str, term: int | None = None
    ) -> Scan | None:
        """Evidence, artefacts, result and move in one batch."""
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
        return await self._move(scan, ending.state, batch, args, term=term)

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
        args = {
            "outcome": outcome.value,
            "detail": detail,
            "run_after": stamp(run_after),
            "now": stamp(now),
            "actor": actor,
        }
        return await self._move(scan, State.QUEUED, [statements.REQUEUE], args, term=term)

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
        """Guarded like any write: a worker that lost its scan has nothing more to say on it."""
        said: dict[str, Value] = {"event": event, "detail": detail, "actor": actor}
        args = columns(scan) | _in_the_name_of(term, scan) | said | {"now": stamp(now)}
        await self._write([Statement.of(statements.NOTE, args)])

    async def due(
        self, *, now: datetime, limit: int, on_unreadable: Unreadable = ignore
    ) -> list[Scan]:
        """Walk the partial index of QUEUED scans."""
        return await self._readable(statements.DUE, limit, on_unreadable, **_due(now))

    async def leased(
        self, *, limit: int, until: datetime | None = None, on_unreadable: Unreadable = ignore
    ) -> list[Scan]:
        """Walk the partial index of leases."""
        last = None if until is None else stamp(until)
        return await self._readable(statements.LEASED, limit, on_unreadable, until=last)

    async def result(self, scan_id: str) -> Result | None:
        """Look it up by its primary key."""
        rows = await self._read(statements.RESULT, id=scan_id)
        return _first(parse(models.ScanResult, Result, rows))

    async def judged(self, scan_ids: Sequence[str]) -> dict[str, VerdictSummary]:
        """Look them up by their primary keys, without the documents that stand beside."""
        rows = await self._read(statements.JUDGED, ids=json.dumps(list(scan_ids)))
        return {each.scan_id: each for each in parse(models.JudgedRow, VerdictSummary, rows)}

    async def evidence(self, scan_id: str) -> str | None:
        """Look it up by its primary key."""
        rows = await self._read(statements.EVIDENCE, id=scan_id)
        return models.ScanEvidence.model_validate(rows[0]).document if rows else None

    async def artefacts(self, scan_id: str) -> list[Artefact]:
        """Walk the primary key."""
        rows = await self._read(statements.ARTEFACTS, id=scan_id)
        return parse(models.ScanArtefact, Artefact, rows)

    async def audit(self, scan_id: str) -> list[AuditEntry]:
        """Walk the index by scan; ids grow with time."""
        rows = await self._read(statements.AUDIT, id=scan_id)
        return parse(models.AuditLog, AuditEntry, rows)

    async def beat(self, beat: WorkerBeat) -> None:
        """Insert or overwrite."""
        await self._write([Statement.of(statements.BEAT, columns(beat))])

    async def retire(self, worker_id: str) -> None:
        """Forget a worker that ends."""
        await self._write([Statement(statements.RETIRE, {"id": worker_id})])

    async def forget_workers(self, *, silent_since: datetime) -> None:
        """Walk the index of beats from its old end."""
        args = {"silent_since": stamp(silent_since)}
        await self._write([Statement(statements.FORGET_WORKERS, args)])

    async def workers(self, *, since: datetime) -> list[WorkerBeat]:
        """Walk the index of beats, the freshest first."""
        rows = await self._read(statements.WORKERS, since=stamp(since))
        return readable(models.Worker, WorkerBeat, rows)

    async def metrics(self, *, now: datetime) -> Metrics:
        """Read the counts that triggers keep."""
        hour_ago = stamp(now - timedelta(hours=1))[:_MINUTE]
        broken = json.dumps(sorted(INFRASTRUCTURE_OUTCOMES))
        rows = await self._read(statements.METRICS, hour_ago=hour_ago, broken=broken)
        return parse(models.MetricsRow, Metrics, rows)[0]

    async def migrate(self) -> list[int]:
        """Make or migrate the schema."""
        return await self._patiently(lambda: migrate.migrate(self._database))

    async def ping(self) -> None:
        """Ask once, without patience: who pings wants to know about now."""
        await migrate.require_current(self._database)

    async def require_schema(self) -> None:
        """Ask for its migrations."""
        await self._patiently(lambda: migrate.require_current(self._database))

    async def close(self) -> None:
        """Close the database."""
        await self._database.close()

    async def _move(
        self,
        scan: Scan,
        new: State,
        batch: Sequence[str],
        args: Mapping[str, Value],
        *,
        term: int | None = None,
    ) -> Scan | None:
        if not is_legal(scan.state, new):
            raise RowRefusedError(f"A scan does not move from {scan.state} to {new}.")
        guard = {
            "version": scan.version,
            "state": scan.state.value,
            "new_state": new.value,
        }
        fence = _in_the_name_of(term, scan)
        return await self._change(scan.id, batch, {**args, **guard, **fence})

    async def _change(
        self, scan_id: str, batch: Sequence[str], args: Mapping[str, Value]
    ) -> Scan | None:
        named = {**args, "id": scan_id, "change_id": _change_id()}
        answers = await self._write(
            [Statement.of(sql, named) for sql in (*batch, statements.CHANGED)]
        )
        return _first(parse(models.ScanJob, Scan, answers[-1]))

    async def _readable(
        self, sql: str, limit: int, on_unreadable: Unreadable, **args: Value
    ) -> list[Scan]:
        """Return as many scans as are wanted, past the rows that cannot be read."""
        wanted = limit
        while True:
            bad: list[str] = []
            rows = await self._rows(sql, bad.append, limit=wanted, **args)
            is_short = len(rows) + len(bad) < wanted
            found = readable(models.ScanJob, Scan, rows, bad.append)
            is_all = is_short or wanted >= limit + MOST_UNREADABLE
            if is_all or len(found) >= limit:
                for scan_id in bad:
                    on_unreadable(scan_id)
                return found[:limit]
            wanted = min(2 * wanted, limit + MOST_UNREADABLE)

    async def _rows(self, sql: str, on_unreadable: Unreadable, **args: Value) -> list[Row]:
        """Return the rows; where the database itself cannot read one of them, all but that."""
        try:
            return await self._read(sql, **args)
        except RowUnreadableError:
            ids = await self._read(_IDS_OF.format(sql), **args)
        rows: list[Row] = []
        for scan_id in (str(row["id"]) for row in ids):
            try:
                rows += await self._read(statements.GET, id=scan_id)
            except RowUnreadableError:
                on_unreadable(scan_id)
        return rows

    async def _scans(self, sql: str, **args: Value) -> list[Scan]:
        return parse(models.ScanJob, Scan, await self._read(sql, **args))


def _change_id() -> str:
    return secrets.token_hex(8)


def _in_the_name_of(term: int | None, scan: Scan) -> dict[str, Value]:
    seen = None if scan.lease_until is None else stamp(scan.lease_until)
    return {"term": term, "seen_lease": seen}


def _due(now: datetime) -> dict[str, Value]:
    return {"settled": stamp(now), "skewed": stamp(now + CLOCK_SKEW)}


def _first(found: Sequence[Answer]) -> Answer | None:
    return found[0] if found else None
