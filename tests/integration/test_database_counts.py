"""Triggers maintain the counts for health: reading them counts no scans."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from safeurl.adapters.sql.rows import stamp
from safeurl.adapters.sql.schema.shipped import migrations, schema_sql, statements_of
from safeurl.adapters.sql.statements import backlog, metrics

_NOW = datetime.now(UTC)
_HOUR_AGO = stamp(_NOW - timedelta(hours=1))[:16]
_ADD = """
INSERT INTO scan_jobs (id, url, submitted_url, profile, state, version, attempt, source,
    created_at, updated_at, run_after, actor, change_id)
SELECT 'id' || value, 'u', 'u', 'http', 'QUEUED', 0, 0, 's', :now, :now, :now, 'a', 'c'
FROM json_each(:numbers)
"""
_CLAIM = """
UPDATE scan_jobs SET state = 'FETCHING', version = version + 1, attempt = attempt + 1,
    lease_owner = 'w', lease_until = :now WHERE id = :id
"""
_END = """
UPDATE scan_jobs SET state = :state, version = version + 1, lease_owner = NULL,
    lease_until = NULL, outcome = :outcome, finished_at = :now WHERE id = :id
"""
_RESULT = """
INSERT INTO scan_results (scan_id, attempt, outcome, score, verdict, categories, verdict_json,
    ruleset, created_at) VALUES (:id, 1, :outcome, 0, 'benign', '[]', '{}', 'r', :now)
"""


class _Scans:
    """A database whose scans are moved as the store moves them."""

    def __init__(self, *scripts: str) -> None:
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        self.database.row_factory = sqlite3.Row
        for script in scripts:
            for statement in statements_of(script):
                self.database.execute(statement)
        self._number = 0

    def add(self, count: int) -> list[str]:
        numbers = range(self._number, self._number + count)
        self._number += count
        self.database.execute(_ADD, {"now": stamp(_NOW), "numbers": str(list(numbers))})
        return [f"id{number}" for number in numbers]

    def claim(self, scan_id: str) -> None:
        self.database.execute(_CLAIM, {"id": scan_id, "now": stamp(_NOW)})

    def end(self, scan_id: str, state: str, outcome: str, at: datetime = _NOW) -> None:
        self.claim(scan_id)
        args = {"id": scan_id, "state": state, "outcome": outcome, "now": stamp(at)}
        self.database.execute(_RESULT, args)
        self.database.execute(_END, args)

    def metrics(self) -> dict[str, object]:
        args = {"hour_ago": _HOUR_AGO, "broken": '["sandbox_crashed"]'}
        return dict(self.database.execute(metrics.METRICS, args).fetchone())

    def steps(self, sql: str) -> int:
        """Return the number of SQLite's virtual machine instructions of a statement."""
        now = stamp(_NOW)
        known = {"hour_ago": _HOUR_AGO, "broken": "[]", "settled": now, "skewed": now, "limit": 50}
        args = {name: known.get(name) for name in re.findall(r":([a-z_]+)", sql)}
        counted = 0

        def count() -> None:
            nonlocal counted
            counted += 1

        self.database.set_progress_handler(count, 1)
        self.database.execute(sql, args).fetchall()
        self.database.set_progress_handler(None, 1)
        return counted

    def check(self) -> None:
        """Compare the stored counts with the rows."""
        counted = self.database.execute("SELECT state, count(*) FROM scan_jobs GROUP BY state")
        kept = self.database.execute("SELECT state, scans FROM scan_counts WHERE scans <> 0")
        assert dict(map(tuple, kept)) == dict(map(tuple, counted))


@pytest.fixture
def scans() -> Iterator[_Scans]:
    """Return an empty database of this version."""
    made = _Scans(schema_sql())
    with closing(made.database):
        yield made


def test_every_move_is_counted(scans: _Scans) -> None:
    """Scans are added, claimed, requeued, ended and deleted."""
    first, second, third, fourth, fifth, sixth, _ = scans.add(7)
    scans.claim(first)
    scans.end(second, "FAILED", "sandbox_crashed")
    scans.end(third, "TIMED_OUT", "fetch_timeout")
    scans.end(fourth, "FAILED", "dns_failed", _NOW - timedelta(hours=1, minutes=1))
    scans.end(sixth, "FAILED", "cancelled")
    scans.check()
    assert scans.metrics() == {
        "pending": 2,
        "in_progress": 1,
        "recently_completed": 0,
        "recently_failed": 2,
        "recently_cancelled": 1,
        "recently_broken": 1,
        "oldest_pending_at": stamp(_NOW),
    }
    for scan_id in (second, fifth):
        scans.database.execute("DELETE FROM scan_jobs WHERE id = ?", (scan_id,))
    scans.check()
    assert scans.metrics()["pending"] == 1


def test_what_is_refused_is_not_counted(scans: _Scans) -> None:
    """A move that a trigger or a CHECK refuses leaves the counts as they were."""
    scan_id, _ = scans.add(2)
    for sql in (
        "UPDATE scan_jobs SET state = 'COMPLETED', version = 1",
        "UPDATE scan_jobs SET state = 'FETCHING', version = 1, attempt = 1",
        f"INSERT OR REPLACE INTO scan_jobs SELECT * FROM scan_jobs WHERE id = '{scan_id}'",  # noqa: S608 - an id of this test
    ):
        with pytest.raises(sqlite3.IntegrityError):
            scans.database.execute(sql)
    scans.check()


def test_endings_of_long_ago_go(scans: _Scans) -> None:
    """The table contains hours, not years."""
    early, late = scans.add(2)
    scans.end(early, "FAILED", "dns_failed", _NOW - timedelta(days=1))
    scans.end(late, "FAILED", "dns_failed")
    rows = scans.database.execute("SELECT minute, scans FROM scan_endings").fetchall()
    assert [tuple(row) for row in rows] == [(stamp(_NOW)[:16], 1)]


def test_a_database_of_the_version_before_is_counted_once() -> None:
    """Its counts are those that health gave before."""
    ledger = statements_of(schema_sql())[0]
    *before, counted = migrations()[:4]
    old = _Scans(ledger, *(step.sql for step in before))
    with closing(old.database):
        first, second, third, fourth, _ = old.add(5)
        old.claim(first)
        old.end(second, "FAILED", "sandbox_crashed")
        old.end(third, "FAILED", "dns_failed", _NOW - timedelta(hours=1, minutes=2))
        old.end(fourth, "TIMED_OUT", "fetch_timeout", _NOW - timedelta(minutes=5))
        for statement in statements_of(counted.sql):
            old.database.execute(statement)
        old.check()
        found = old.metrics()
        assert [*found.values()] == [1, 1, 0, 2, 0, 1, stamp(_NOW)]


@pytest.mark.parametrize(
    "sql", [metrics.METRICS, backlog.DUE, backlog.LEASED], ids=["METRICS", "DUE", "LEASED"]
)
def test_a_backlog_costs_no_steps(scans: _Scans, sql: str) -> None:
    """A hundred times as many scans that wait and that ended just now: as many instructions."""
    few = scans.add(60)
    for scan_id in few[:8]:
        scans.end(scan_id, "FAILED", "dns_failed")
    steps = scans.steps(sql)
    many = scans.add(6_000)
    for scan_id in many[:800]:
        scans.end(scan_id, "FAILED", "dns_failed")
    assert scans.steps(sql) == pytest.approx(steps, rel=0.1)
