"""A database whose schema was changed: `audit verify` and `doctor` name the changes."""

import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from safeurl.adapters.libsql.address import parse_address
from safeurl.adapters.libsql.database import LibSQLDatabase
from safeurl.adapters.sql.database import Statement
from safeurl.bootstrap import open_store
from safeurl.errors import StoreUnavailableError
from safeurl.ports.store import Store
from safeurl.services.audit_verify import Verification, verify
from safeurl.settings import Settings
from safeurl.state import State
from tests.support.builders import brought_to
from tests.support.schema_changes import CHANGES, GARBAGE, RAW_CHANGES, apply, demand_memory
from tests.support.sqld import Sqld
from tests.support.system import System
from worker.doctor.checks import services
from worker.doctor.finding import Finding, Status

#: Some of these never end where a table is read before the schema was compared.
pytestmark = pytest.mark.timeout(60)

#: The additional message if the rows were not read or not checked.
_LEFT_OUT = {
    "The audit trail was not read, because its tables are not SafeURL's.",
    "The rows were not checked: checking may run what is not SafeURL's.",
}


async def _fill(store: Store) -> None:
    await store.migrate()
    await brought_to(store, State.FETCHING)
    await brought_to(store, State.COMPLETED)


async def _examine(settings: Settings) -> tuple[Verification, Finding]:
    """Return the findings of `audit verify` and the doctor."""
    async with open_store(settings, migrate=False) as store:
        return await verify(store), await services.database(settings)


@pytest.fixture
async def embedded(tmp_path: Path) -> System:
    """Return an installation over SQLite with two scans."""
    system = System(tmp_path / "state")
    async with open_store(system.settings) as store:
        await _fill(store)
    return system


@pytest.fixture
async def remote(tmp_path: Path) -> AsyncIterator[System]:
    """Return an installation over a server of libSQL with two scans."""
    with Sqld(tmp_path / "sqld") as server:
        url = f"http://{server.authority}"
        system = System(tmp_path / "state", TURSO_CONNECTION_URL=url)
        async with open_store(system.settings) as store:
            await _fill(store)
        yield system


async def _apply_there(system: System, statements: Sequence[str]) -> None:
    address = parse_address(system.settings.turso_connection_url)
    database = LibSQLDatabase(address, auth_token=None, timeout_s=10)
    try:
        for statement in statements:
            await database.write([Statement(statement)])
    finally:
        await database.close()


def _assert_named(found: Verification, finding: Finding, words: str) -> None:
    named = [fault for fault in found.faults if words in fault]
    assert len(named) == 1, found.faults
    assert finding.status is Status.FAIL
    assert words in finding.detail
    # The scans are as they were, so there is nothing to say of rows.
    ours = ("The ", "There is ")
    assert all(fault.startswith(ours) for fault in found.faults), found.faults


@pytest.mark.parametrize("change", [*CHANGES, *RAW_CHANGES])
async def test_each_change_is_named(change: str, embedded: System) -> None:
    """By both, whatever was put there, and without running it."""
    statements, words = {**CHANGES, **RAW_CHANGES}[change]
    apply(embedded.settings.database_path, statements)
    _assert_named(*(await _examine(embedded.settings)), words)


@pytest.mark.parametrize("change", CHANGES)
async def test_each_change_is_named_on_a_server(change: str, remote: System) -> None:
    """The same on libSQL, which has its own reader of SQL."""
    statements, words = CHANGES[change]
    await _apply_there(remote, statements)
    _assert_named(*(await _examine(remote.settings)), words)


@pytest.mark.parametrize("change", GARBAGE)
async def test_a_schema_that_cannot_be_read_is_no_pass(change: str, embedded: System) -> None:
    """SQLite refuses such a database, and so do both, and `backup`."""
    apply(embedded.settings.database_path, GARBAGE[change])
    with pytest.raises(StoreUnavailableError, match="damaged"):
        await _examine(embedded.settings)
    finding = await services.database(embedded.settings)
    assert finding.status is Status.FAIL
    assert "damaged" in finding.detail
    done = embedded.run("backup", str(embedded.settings.database_path.with_name("backup.tar.gz")))
    assert "cannot be saved (malformed database schema" in done.stderr


async def test_a_schema_that_demands_all_memory_is_no_pass(embedded: System) -> None:
    """Every command says that the file may be damaged."""
    path = embedded.settings.database_path
    path.unlink()
    demand_memory(path)
    finding = await services.database(embedded.settings)
    assert finding.status is Status.FAIL
    assert "or the file is damaged" in finding.detail
    for command in (["audit", "verify"], ["list"], ["backup", str(path.with_name("b.tar.gz"))]):
        done = embedded.run(*command)
        assert done.returncode not in {0, 70}
        assert "is damaged" in done.stderr


async def test_what_nobody_changed_is_well(embedded: System, remote: System) -> None:
    """An unchanged schema passes, with the additions of the database engine."""
    with closing(sqlite3.connect(embedded.settings.database_path)) as database:
        database.execute("ANALYZE")
    wasm = "CREATE TABLE libsql_wasm_func_table (name text PRIMARY KEY, body text) WITHOUT ROWID"
    await _apply_there(remote, [wasm])
    for system in (embedded, remote):
        found, finding = await _examine(system.settings)
        assert found.faults == ()
        assert found.rows > 0
        assert finding.status is Status.PASS


#: Rows that violate our tables, written by an attacker who removed the constraint meanwhile.
_BROKEN = {
    "scan_jobs_finished_when_final": "UPDATE scan_jobs SET finished_at = NULL",
    "scan_jobs_outcome_known": "UPDATE scan_jobs SET outcome = 'fine' WHERE outcome IS NOT NULL",
    "scan_jobs_leased_while_held": "UPDATE scan_jobs SET lease_until = NULL",
    "scan_results_score_in_range": "UPDATE scan_results SET score = 101",
    "scan_results_categories_list": "UPDATE scan_results SET categories = '{not JSON'",
    "scan_results_of_scan": "UPDATE scan_results SET scan_id = 'nowhere'",
    "audit_logs_at_utc": "INSERT INTO audit_logs SELECT -9223372036854775808, scan_id, 'note', 0, "
    "0, NULL, NULL, actor, NULL, NULL, 'today' FROM audit_logs LIMIT 1",
}


@pytest.mark.parametrize("rule", _BROKEN)
async def test_rows_that_break_a_rule_are_counted(rule: str, embedded: System) -> None:
    """The schema is as made, and the rows show that it was not so all the time."""
    path = embedded.settings.database_path
    with closing(sqlite3.connect(path)) as database:
        triggers = database.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
        ).fetchall()
    drops = [f"DROP TRIGGER {name}" for name, _ in triggers]
    apply(path, [*drops, _BROKEN[rule], *(sql for _, sql in triggers)])
    found, finding = await _examine(embedded.settings)
    table = rule.partition("_")[0]
    said = [fault for fault in found.faults if fault.endswith(f"breaks the rule {rule}.")]
    assert len(said) == 1, found.faults
    assert said[0].startswith("1 row of " + table)
    assert finding.status is Status.PASS  # the doctor compares the schema only


async def test_damaged_pages_are_named(embedded: System) -> None:
    """An index that lost an entry hides rows from queries that use it."""
    apply(
        embedded.settings.database_path,
        [
            "CREATE TABLE spare (scan_id TEXT)",
            "CREATE INDEX spare_index ON spare (scan_id)",
            (
                "UPDATE sqlite_master SET rootpage = (SELECT rootpage FROM sqlite_master "
                "WHERE name = 'spare_index') WHERE name = 'audit_logs_scan'"
            ),
            "DELETE FROM sqlite_master WHERE name LIKE 'spare%'",
        ],
    )
    found, _ = await _examine(embedded.settings)
    assert any("audit_logs_scan" in fault for fault in found.faults), found.faults
    assert found.fault_count


def test_the_command_ends_with_1(embedded: System) -> None:
    """An endless view for the table of migrations included, which is the first that is read."""
    statements, words = CHANGES["endless view for the migrations"]
    apply(embedded.settings.database_path, statements)
    done = embedded.run("audit", "verify", timeout_s=40)
    assert done.returncode == 1
    assert words in done.stdout
    assert "Traceback" not in done.stderr
    document = json.loads(embedded.run("audit", "verify", "--json", timeout_s=40).stdout)
    assert document["fault_count"] == len(document["faults"]) == 3
    assert set(document["faults"]) & _LEFT_OUT
