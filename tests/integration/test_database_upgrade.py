"""A database of an older version is migrated, keeps all of its data, and can be used."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from safeurl.adapters.libsql import LibSQLStore
from safeurl.adapters.sql.database import Statement
from safeurl.adapters.sql.schema.shipped import migrations
from safeurl.adapters.sqlite import SQLiteStore
from safeurl.model.attempt import Attempt
from safeurl.ports.store import Store
from safeurl.retry import failures
from safeurl.services.audit_verify import verify
from safeurl.state import Outcome, State
from tests.support.builders import LEASE, finished
from tests.support.sqld import Sqld

#: Made by the code as it was before migration 5, with `sqlite3`'s own dump.
_DUMP = Path(__file__).parents[1] / "support" / "databases" / "migration_4.sql"
_NEWER = [step.number for step in migrations() if step.number > 4]
_U, _LOST = Outcome.SANDBOX_UNAVAILABLE, Outcome.LEASE_LOST

#: Of each scan, by the host of its URL: how its attempts ended and whether that is a failure.
_ATTEMPTS: Mapping[str, Sequence[tuple[Outcome | None, bool | None]]] = {
    "completed": [(Outcome.OK, False)],
    "handed-back": [(_LOST, False), (Outcome.OK, False)],
    "given-up": [(_U, True), (_U, True), (_U, True)],
    "rescued": [(_LOST, True), (None, None)],
    "at-work": [(None, None)],
    "analysing": [(_U, True), (None, None)],
    "waiting": [],
    "retried": [(_LOST, False), (_U, True)],
    "cancelled": [],
    "timed-out": [(Outcome.WALL_TIMEOUT, False)],
}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return the path of a database with the migrations 1 to 4."""
    path = tmp_path / "safeurl.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(_DUMP.read_text(encoding="utf-8"))
    return path


def _contents(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as database:
        names = database.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'schema_migrations'"
        ).fetchall()
        return {
            name: sorted(database.execute(f"SELECT * FROM {name}").fetchall(), key=repr)  # noqa: S608 - names of our schema
            for (name,) in names
        }


async def _by_host(store: Store) -> dict[str, str]:
    scans = await store.page(limit=100)
    return {scan.url.split("/")[2].removesuffix(".example"): scan.id for scan in scans}


async def test_every_row_of_every_table_is_kept(old: Path) -> None:
    """And the schema is then the one of this version, its trail and seals unbroken."""
    before = _contents(old)
    assert len(before["scan_jobs"]) == len(_ATTEMPTS)
    store = SQLiteStore(old)
    assert await store.migrate() == _NEWER
    verification = await verify(store)
    await store.close()
    assert verification.faults == ()
    assert verification.seals == 1
    after = _contents(old)
    assert len(after.pop("attempts")) == sum(map(len, _ATTEMPTS.values()))
    # Migration 6 gives workers other columns.
    assert len(after.pop("workers")) == len(before.pop("workers")) == 1
    # Migration 8 notes in the trail which attempts do not count, and SQLite counts its rows.
    kept, counted = before.pop("audit_logs"), before.pop("sqlite_sequence")
    trail = after.pop("audit_logs")
    assert [row for row in trail if row in kept] == kept
    notes = [row[2] for row in trail if row not in kept]
    assert notes == ["attempt_not_counted"] * 2
    assert ("audit_logs", len(kept)) in counted
    assert ("audit_logs", len(trail)) in after.pop("sqlite_sequence")
    assert after == before


def _check(attempts: Sequence[Attempt], host: str) -> None:
    ends = [(attempt.outcome, attempt.counts_as_failure) for attempt in attempts]
    assert ends == _ATTEMPTS[host], host
    assert [attempt.attempt for attempt in attempts] == list(range(1, len(ends) + 1)), host
    assert all(attempt.owner.startswith("host-a/0a1b2c3d:") for attempt in attempts)
    assert all((attempt.ended_at is None) == (attempt.outcome is None) for attempt in attempts)


async def test_an_attempt_of_which_an_older_version_left_too_little_has_no_row(old: Path) -> None:
    """The migration notes it, and `verify` finds no fault; one that is deleted later is a fault."""
    with closing(sqlite3.connect(old)) as database, database:
        guards = database.execute(
            "SELECT name, sql FROM sqlite_schema WHERE name LIKE 'audit_logs_no%'"
        ).fetchall()
        for name, _ in guards:
            database.execute(f"DROP TRIGGER {name}")
        # Without an outcome the end breaks a rule of the table.
        database.execute(
            "UPDATE audit_logs SET outcome = NULL WHERE to_state = 'TIMED_OUT' AND scan_id = "
            "(SELECT id FROM scan_jobs WHERE url LIKE '%timed-out%')"
        )
        for _, sql in guards:
            database.execute(sql)
    store = SQLiteStore(old)
    await store.migrate()
    ids = await _by_host(store)
    assert await store.attempts(ids["timed-out"]) == []
    about = [fault for fault in (await verify(store)).faults if "ttempt" in fault]
    assert about == []
    with closing(sqlite3.connect(old)) as database, database:
        database.execute("DROP TRIGGER attempts_no_delete")
        database.execute("DELETE FROM attempts WHERE scan_id = ?", (ids["completed"],))
    missing = [fault for fault in (await verify(store)).faults if "has no row" in fault]
    assert [fault.startswith(f"Scan {ids['completed']}: Attempt 1,") for fault in missing] == [True]
    await store.close()


async def test_attempts_come_from_the_audit_trail(old: Path) -> None:
    """Their ends, their failures, and the notes about their sandboxes."""
    store = SQLiteStore(old)
    await store.migrate()
    ids = await _by_host(store)
    assert ids.keys() == _ATTEMPTS.keys()
    for host, scan_id in ids.items():
        _check(await store.attempts(scan_id), host)
    (first,) = await store.attempts(ids["completed"])
    assert (first.container_id, first.start_kind) == ("0123456789ab", "cold")
    assert (first.exit_code, first.oom_killed, first.stopped) == (0, False, None)
    times = (first.create_ms, first.start_ms, first.run_ms, first.remove_ms)
    assert times == (41.2, 130.0, 812.7, 22.4)
    (bare,) = await store.attempts(ids["timed-out"])
    assert (bare.container_id, bare.exit_code, bare.run_ms) == (None, None, None)
    killed = (await store.attempts(ids["retried"]))[-1]
    assert killed.exit_code == 137
    assert killed.ended_at is not None
    assert killed.started_at < killed.ended_at
    await store.close()


async def _go_on(store: Store) -> None:
    """End, requeue, claim and cancel running scans; the count of failures continues."""
    ids = await _by_host(store)
    for host in ("at-work", "rescued", "analysing"):
        scan = await store.get(ids[host])
        assert scan is not None
        before = failures(await store.attempts(scan.id))
        later = scan.updated_at + timedelta(seconds=30)
        waiting = await store.requeue(
            scan, outcome=_U, detail=None, run_after=later, now=later, actor="w"
        )
        assert waiting is not None
        assert failures(await store.attempts(scan.id)) == before + 1, host
        again = await store.claim(scan.id, owner="new", now=later, lease_until=later + LEASE)
        assert again is not None
        await finished(store, again, Outcome.WALL_TIMEOUT)
        last = (await store.attempts(scan.id))[-1]
        assert (last.attempt, last.owner, last.outcome) == (
            again.attempt,
            "new",
            Outcome.WALL_TIMEOUT,
        )
    retried = await store.get(ids["retried"])
    assert retried is not None
    assert retried.state is State.QUEUED
    await finished(store, retried, Outcome.CANCELLED)
    assert failures(await store.attempts(retried.id)) == 1


async def test_scans_in_flight_go_on(old: Path) -> None:
    """On SQLite."""
    store = SQLiteStore(old)
    await store.migrate()
    await _go_on(store)
    await store.close()


async def test_an_older_database_on_a_server_is_migrated(tmp_path: Path) -> None:
    """The same statements run there."""
    with Sqld(tmp_path / "sqld") as server:
        store = LibSQLStore(f"http://{server.authority}")
        try:
            await store._database.write(_statements())  # noqa: SLF001 - no port makes an old one
            assert await store.migrate() == _NEWER
            for host, scan_id in (await _by_host(store)).items():
                _check(await store.attempts(scan_id), host)
            await _go_on(store)
        finally:
            await store.close()


def _statements() -> list[Statement]:
    found, pending = [], ""
    for line in _DUMP.read_text(encoding="utf-8").splitlines(keepends=True):
        if not pending and line.startswith("--"):
            continue
        pending += line
        if sqlite3.complete_statement(pending):
            # The batch is a transaction of its own, and SQLite keeps its counters by itself.
            if not pending.startswith(("BEGIN", "COMMIT")) and "sqlite_sequence" not in pending:
                found.append(Statement(pending))
            pending = ""
    # The server asks for foreign keys at once: tables first, then scans before what is theirs.
    order = ("CREATE TABLE", 'INSERT INTO "scan_jobs"', "INSERT INTO", "CREATE ")
    return sorted(
        found,
        key=lambda each: next(n for n, begin in enumerate(order) if each.sql.startswith(begin)),
    )


async def test_the_trail_that_an_older_version_goes_on_to_write_is_followed(old: Path) -> None:
    """A process of the older version that still runs ends its attempts too: a trigger does this.

    It does not know the table, so a scan that it gives back counts as a failure.
    """
    store = SQLiteStore(old)
    await store.migrate()
    ids = await _by_host(store)
    with closing(sqlite3.connect(old)) as database, database:
        database.execute(
            "UPDATE scan_jobs SET state = 'QUEUED', version = version + 1, lease_owner = NULL,"
            " lease_until = NULL, outcome = 'sandbox_unavailable', actor = 'w' WHERE id = ?",
            (ids["at-work"],),
        )
    (attempt,) = await store.attempts(ids["at-work"])
    assert (attempt.outcome, attempt.counts_as_failure) == (_U, True)
    await store.close()
