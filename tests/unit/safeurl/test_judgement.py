"""Judging databases that nobody trusts, without the process around it."""

import sqlite3
from pathlib import Path

import pytest

from safeurl.adapters.backup.judgement import judge
from safeurl.adapters.backup.snapshot import open_copy


@pytest.mark.parametrize("column", ["name", "sql", "type"])
def test_a_schema_that_is_not_utf8_is_damage_or_foreign(column: str, tmp_path: Path) -> None:
    """SQLite's message about it quotes the schema, and Python cannot read that message."""
    path = tmp_path / "safeurl.db"
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE notes (note TEXT)")
        made.execute("PRAGMA writable_schema = ON")
        made.execute(f"UPDATE sqlite_master SET {column} = CAST(x'437261fcfe20' AS TEXT)")  # noqa: S608 - names of this test
    made.close()
    with open_copy(path) as database:
        judgement = judge(database)
    assert judgement.census is None
    assert judgement.damage or judgement.foreign
