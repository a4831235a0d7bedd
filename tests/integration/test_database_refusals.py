"""The refusals of the database itself, tested with raw SQL on SQLite and on sqld."""

import json
import sqlite3
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from safeurl.adapters.sql.schema.shipped import schema_sql, statements_of
from safeurl.state import FINAL_STATES, State, is_legal
from tests.support.sqld import Sqld

#: Runs statements one by one; returns the first refusal, or None when all went through.
Raw = Callable[..., str | None]

_AT = "'2026-01-02T03:04:05.678901Z'"
_LEASED = f"lease_owner = 'w', lease_until = {_AT}"
_UNLEASED = "lease_owner = NULL, lease_until = NULL"
_ENDED = f"outcome = 'ok', finished_at = {_AT}"


@pytest.fixture(params=["sqlite", "sqld"])
def raw(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Raw]:
    """Return a function that runs raw SQL on a new database with the schema."""
    if request.param == "sqlite":
        with closing(sqlite3.connect(tmp_path / "raw.db", isolation_level=None)) as database:
            database.execute("PRAGMA foreign_keys = ON")
            yield _prepared(lambda *sql: _on_sqlite(database, sql))
    else:
        with Sqld(tmp_path / "sqld") as server:
            yield _prepared(lambda *sql: _on_sqld(server, sql))


def _prepared(raw: Raw) -> Raw:
    assert raw("BEGIN", *statements_of(schema_sql()), "COMMIT") is None
    return raw


def _on_sqlite(database: sqlite3.Connection, statements: Sequence[str]) -> str | None:
    try:
        for sql in statements:
            database.execute(sql).fetchall()
    except sqlite3.IntegrityError as exc:
        return str(exc)
    return None


def _on_sqld(server: Sqld, statements: Sequence[str]) -> str | None:
    requests = [{"type": "execute", "stmt": {"sql": sql}} for sql in statements]
    body = json.dumps({"requests": [*requests, {"type": "close"}]}).encode()
    with urllib.request.urlopen(f"http://{server.authority}/v2/pipeline", body, 10) as answer:
        results = json.load(answer)["results"]
    errors = [result["error"] for result in results if result["type"] == "error"]
    assert {error["code"] for error in errors} <= {"SQLITE_CONSTRAINT"}, errors
    return str(errors[0]["message"]) if errors else None


def _insert(
    scan_id: str = "s", state: str = "QUEUED", version: int = 0, how: str = "INSERT"
) -> str:
    return (
        f"{how} INTO scan_jobs (id, url, submitted_url, profile, state, version, attempt, source,"
        " created_at, updated_at, run_after, actor, change_id) VALUES"
        f" ('{scan_id}', 'u', 'u', 'http', '{state}', {version}, 0, 'cli',"
        f" {_AT}, {_AT}, {_AT}, 'cli', 'c')"
    )


def _result(scan_id: str = "s") -> str:
    columns = (
        "(scan_id, attempt, outcome, score, verdict, categories, verdict_json, ruleset, created_at)"
    )
    values = f"('{scan_id}', 1, 'ok', 0, 'benign', '[]', '{{}}', 'core-1', {_AT})"
    return f"INSERT INTO scan_results {columns} VALUES {values}"  # noqa: S608 - constants


def _line(values: str, how: str = "INSERT") -> str:
    columns = "(id, scan_id, event, version, attempt, to_state, actor, at)"
    return f"{how} INTO audit_logs {columns} VALUES ({values}, 'x', {_AT})"


def _move(new: State, extra: str = "") -> str:
    """Return the UPDATE that makes a correct move to `new`."""
    fits = {
        State.QUEUED: _UNLEASED + ", outcome = 'lease_lost'",
        State.FETCHING: _LEASED + ", attempt = attempt + 1",
    }
    ends = f"{_UNLEASED}, {_ENDED}"
    columns = fits.get(new, ends if new in FINAL_STATES else _LEASED)
    return f"UPDATE scan_jobs SET state = '{new}', version = version + 1, {columns}{extra}"  # noqa: S608 - constants


#: How a fresh scan gets to each state.
_PATHS = {
    State.QUEUED: [],
    State.FETCHING: [State.FETCHING],
    State.ANALYZING: [State.FETCHING, State.ANALYZING],
    State.COMPLETED: [State.FETCHING, State.ANALYZING, State.COMPLETED],
    State.FAILED: [State.FAILED],
    State.TIMED_OUT: [State.FETCHING, State.TIMED_OUT],
}


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_logs SET actor = 'nobody'",
        "UPDATE OR REPLACE audit_logs SET id = 2 WHERE id = 1",
        "UPDATE OR IGNORE audit_logs SET detail = 'x'",
        "DELETE FROM audit_logs",
        "DELETE FROM audit_logs WHERE id = 1",
        _line("NULL, 's', 'submitted', 0, 0, 'QUEUED'"),
        _line("1, 's', 'note', 0, 0, NULL", how="INSERT OR REPLACE"),
    ],
)
def test_the_trail_is_append_only(raw: Raw, sql: str) -> None:
    """No UPDATE, no DELETE, no replacement, and no version twice."""
    assert raw(_insert()) is None
    assert "audit_logs: " in str(raw(sql))


def test_the_trail_outlives_its_scan(raw: Raw) -> None:
    """Deleting a scan deletes its results, but never the trail; its id is not used again."""
    assert raw(_insert(), _result(), "DELETE FROM scan_jobs") is None
    assert "told once" in str(raw(_insert()))
    assert "append-only" in str(raw("DELETE FROM audit_logs"))


def test_the_database_knows_every_illegal_move(raw: Raw) -> None:
    """For all pairs of states, a correct UPDATE is accepted exactly if the table allows it."""
    for number, (old, new) in enumerate(product(State, State)):
        scan_id = f"s{number}"
        where = f" WHERE id = '{scan_id}'"
        path = [_move(state) + where for state in _PATHS[old]]
        assert raw(_insert(scan_id), _result(scan_id), *path) is None, old
        refusal = raw(_move(new) + where)
        assert (refusal is None) == is_legal(old, new), (old, new, refusal)


@pytest.mark.parametrize(
    ("sql", "refusal"),
    [
        (
            _move(State.FAILED).replace(f"finished_at = {_AT}", "finished_at = NULL"),
            "finished_when",
        ),
        (_move(State.FAILED).replace("outcome = 'ok'", "outcome = NULL"), "outcome_when_final"),
        (_move(State.FAILED).replace("'ok'", "'fine'"), "outcome_known"),
        (_move(State.FAILED).replace(_UNLEASED, _LEASED), "leased_while_held"),
        (_move(State.FETCHING).replace(_LEASED, _UNLEASED), "leased_while_held"),
        (_move(State.FETCHING, f", finished_at = {_AT}"), "finished_when_final"),
        (_move(State.FETCHING).replace("version + 1", "version + 2"), "version grows by one"),
        (_move(State.FETCHING).replace("version + 1", "version"), "version grows by one"),
        (_move(State.FETCHING).replace("attempt + 1", "attempt"), "attempt grows by one"),
        (_move(State.FETCHING, ", url = 'v'"), "what was submitted does not change"),
        (_move(State.FETCHING).replace(_AT, "'2026-01-02 03:04:05'"), "lease_until_utc"),
        ("UPDATE scan_jobs SET version = version + 1", "illegal move"),
        ("UPDATE scan_jobs SET attempt = attempt + 1", "illegal move"),
        ("UPDATE OR IGNORE scan_jobs SET state = 'COMPLETED', version = 1", "illegal move"),
        ("UPDATE scan_jobs SET state = 'DONE', version = 1", "illegal move"),
        (_insert("t", state="FETCHING"), "a new scan is QUEUED"),
        (_insert("t", version=1), "a new scan is QUEUED"),
        (_insert(how="INSERT OR REPLACE"), "the id is taken"),
        ("UPDATE OR REPLACE scan_jobs SET id = 't'", "what was submitted does not change"),
    ],
)
def test_a_row_that_breaks_a_rule_is_refused(raw: Raw, sql: str, refusal: str) -> None:
    """Each rule by its name, whatever conflict clause the statement carries."""
    assert raw(_insert(), _result()) is None
    assert refusal in str(raw(sql))


def test_a_final_scan_has_a_result_and_rests(raw: Raw) -> None:
    """The final move needs the result; afterwards not even a detail changes."""
    assert raw(_insert()) is None
    assert "a final scan has a result" in str(raw(_move(State.FAILED)))
    assert raw(_result(), _move(State.FAILED)) is None
    assert "UNIQUE" in str(raw(_result()))
    assert "a final scan does not change" in str(raw("UPDATE scan_jobs SET detail = 'x'"))
