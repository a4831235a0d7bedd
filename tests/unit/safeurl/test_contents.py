"""Checks of rows that the constraints of their tables cannot express."""

import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from safeurl.adapters.sql.schema.check import current
from safeurl.adapters.sql.schema.contents import rule_counts

_TABLE = "schema_migrations"
_RULE = f"1 row of {_TABLE} breaks the rule schema_migrations_applied_at_utc."
_DAY = datetime(2026, 11, 29, tzinfo=UTC)


def _faults(*times: str) -> list[str]:
    """Return the faults of a table with one row for each time."""
    (sql,) = (each.sql for each in current() if each.name == _TABLE)
    (count,) = rule_counts(each for each in current() if each.name == _TABLE)
    database = sqlite3.connect(":memory:")
    database.row_factory = sqlite3.Row
    database.execute(sql or "")
    rows = [(number, f"migration {number}", time) for number, time in enumerate(times, 1)]
    database.executemany(f"INSERT INTO {_TABLE} VALUES (?, ?, ?)", rows)  # noqa: S608 - a constant
    while (statement := count.next()) is not None:
        (row,) = database.execute(statement.sql, statement.args)
        count.add(dict(row))
    return count.faults()


def test_every_second_and_every_fraction_of_a_day_may_stand() -> None:
    """SQLite rounds to milliseconds, but .9995 and above is not a fault."""
    fractions = (0, 1, 205, 499_999, 500_000, 999_000, 999_499, 999_500, 999_788, 999_999)
    moments = (
        _DAY + timedelta(seconds=second, microseconds=fractions[second % 10])
        for second in range(24 * 60 * 60)
    )
    times = [f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}" for moment in moments]
    ends = [f"{year}-12-31T23:59:59.999999Z" for year in ("0001", "1969", "2027", "9999")]
    assert _faults(*times, *ends, "2028-02-29T23:59:59.999500Z") == []


@pytest.mark.parametrize(
    "time",
    [
        "2026-02-31T00:00:00.999999Z",
        "2026-01-01T24:00:00.000000Z",
        "2026-01-01T23:60:00.000000Z",
        "2026-01-01T23:59:60.000000Z",
        "2026-00-01T00:00:00.000000Z",
        "0000-01-01T00:00:00.000000Z",
    ],
)
def test_a_time_that_is_none_is_named(time: str) -> None:
    """It has the format that the table requires."""
    assert _faults(time) == [_RULE]
