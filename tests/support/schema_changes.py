"""Possible changes to the schema of a database, and the differences that must be named."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

from safeurl.adapters.sql.schema.shipped import schema_sql, statements_of

#: A SELECT of one column that never ends.
ENDLESS = (
    "WITH RECURSIVE endless(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM endless) "
    "SELECT number FROM endless WHERE number < 0"
)
#: Takes time and memory for each row; no more than sqld lets a value have.
COSTLY = "length(hex(zeroblob(400000)))"


def statement_of(name: str) -> str:
    """Return the statement of schema.sql that makes the object."""
    return next(sql for sql in statements_of(schema_sql()) if name in sql.split()[2:6])


def anew(name: str, old: str, new: str) -> list[str]:
    """Return statements that create a trigger or an index again with a changed word."""
    sql = statement_of(name)
    assert old in sql
    kind = sql.split()[1]
    return [f"DROP {kind} {name}", sql.replace(old, new)]


def table_anew(name: str, old: str, new: str, *indexes: str) -> list[str]:
    """Return statements that create an empty table again with a changed word, and its indexes."""
    sql = statement_of(name)
    assert old in sql
    return [f"DROP TABLE {name}", sql.replace(old, new), *map(statement_of, indexes)]


def _workers(old: str, new: str) -> list[str]:
    return table_anew("workers", old, new, "workers_heard")


#: Each with what is done, and what has to be said of it.
CHANGES: Mapping[str, tuple[Sequence[str], str]] = {
    "trigger removed": (
        ["DROP TRIGGER audit_logs_no_delete"],
        "The trigger audit_logs_no_delete is missing.",
    ),
    "trigger that ignores instead of refusing": (
        anew("audit_logs_no_update", "RAISE(ABORT, 'audit_logs: append-only')", "RAISE(IGNORE)"),
        "The trigger audit_logs_no_update is changed.",
    ),
    "trigger without its RAISE": (
        anew("audit_seals_no_delete", "RAISE(ABORT, 'audit_seals: append-only')", "1"),
        "The trigger audit_seals_no_delete is changed.",
    ),
    "trigger that lets one more move pass": (
        anew("scan_jobs_move", "('QUEUED', 'FAILED'),", "('QUEUED', 'FAILED'), ('FAILED', 'OK'),"),
        "The trigger scan_jobs_move is changed.",
    ),
    "trigger on another table": (
        anew("audit_logs_no_delete", "ON audit_logs", "ON workers"),
        "The trigger audit_logs_no_delete is",
    ),
    "comment instead of a condition": (
        anew("leader_terms_follow", "WHERE NEW.term", "-- ' \n    WHERE 0 AND NEW.term"),
        "The trigger leader_terms_follow is changed.",
    ),
    "trigger added": (
        [
            (
                "CREATE TRIGGER quiet AFTER INSERT ON audit_logs "
                "BEGIN UPDATE workers SET pid = pid + 1; END"
            )
        ],
        "There is a trigger 'quiet' which is not SafeURL's.",
    ),
    "CHECK removed": (
        _workers("CONSTRAINT workers_parts_json CHECK (json_type(parts) = 'object')", "CHECK (1)"),
        (
            'The table workers is changed: without "CONSTRAINT workers_parts_json CHECK '
            "(json_type(parts) = 'object')\", with 'CHECK (1)'."
        ),
    ),
    "CHECK with another name": (
        _workers("CONSTRAINT workers_parts_json", "CONSTRAINT other"),
        "The table workers is changed",
    ),
    "column added": (
        ["ALTER TABLE audit_logs ADD COLUMN note TEXT"],
        "The table audit_logs is changed: with 'note TEXT'.",
    ),
    "column of another type": (
        _workers("pid INTEGER NOT NULL", "pid ANY NOT NULL"),
        "The table workers is changed: without 'pid INTEGER NOT NULL', with 'pid ANY NOT NULL'.",
    ),
    "column with a default": (
        _workers("pid INTEGER NOT NULL", "pid INTEGER NOT NULL DEFAULT 1"),
        "The table workers is changed",
    ),
    "another collation": (
        _workers("host TEXT NOT NULL", "host TEXT NOT NULL COLLATE NOCASE"),
        "The table workers is changed",
    ),
    "not STRICT any more": (
        _workers(") STRICT", ")"),
        "The table workers is changed: without 'STRICT'.",
    ),
    "without a row id": (
        _workers(") STRICT", ") STRICT, WITHOUT ROWID"),
        "The table workers is changed: with 'WITHOUT ROWID'.",
    ),
    "generated column that takes seconds": (
        [f"ALTER TABLE audit_logs ADD COLUMN slow INTEGER AS ({COSTLY}) VIRTUAL"],
        "The table audit_logs is changed: with",
    ),
    "table added": (
        ["CREATE TABLE notes (note TEXT)"],
        "There is a table 'notes' which is not SafeURL's.",
    ),
    "table with a CHECK that takes seconds": (
        [f"CREATE TABLE notes (note TEXT, CHECK ({COSTLY} > 0 OR note IS NULL))"],
        "There is a table 'notes' which is not SafeURL's.",
    ),
    "table removed": (["DROP TABLE workers"], "The table workers is missing."),
    "view added": (
        ["CREATE VIEW audit AS SELECT * FROM audit_logs"],
        "There is a view 'audit' which is not SafeURL's.",
    ),
    "endless view added": (
        [f"CREATE VIEW endless AS {ENDLESS}"],
        "There is a view 'endless' which is not SafeURL's.",
    ),
    "endless view for the migrations": (
        ["DROP TABLE schema_migrations", f"CREATE VIEW schema_migrations AS {ENDLESS}"],
        "The table schema_migrations is missing.",
    ),
    "endless view for the migrations, in capitals": (
        ["DROP TABLE schema_migrations", f"CREATE VIEW SCHEMA_MIGRATIONS AS {ENDLESS}"],
        "There is a view 'SCHEMA_MIGRATIONS' which is not SafeURL's.",
    ),
    "endless view for the seals": (
        ["DROP TABLE audit_seals", f"CREATE VIEW audit_seals AS {ENDLESS}"],
        "There is a view 'audit_seals' which is not SafeURL's.",
    ),
    "endless view for the artefacts": (
        [
            "DROP TABLE artefacts",
            f"CREATE VIEW artefacts AS SELECT number AS sha256 FROM ({ENDLESS})",  # noqa: S608 - constants of this table
        ],
        "There is a view 'artefacts' which is not SafeURL's.",
    ),
    "virtual table with shadow tables": (
        ["CREATE VIRTUAL TABLE found USING fts5(text)"],
        "There is a table 'found_data' which is not SafeURL's.",
    ),
    "virtual table for one of ours": (
        ["DROP TABLE workers", "CREATE VIRTUAL TABLE workers USING fts5(id, beat_at)"],
        "The table workers is changed",
    ),
    "index removed": (["DROP INDEX audit_logs_scan"], "The index audit_logs_scan is missing."),
    "index made partial": (
        anew("audit_logs_scan", "(scan_id)", "(scan_id) WHERE id < 5"),
        "The index audit_logs_scan is changed.",
    ),
    "index over an expression that takes seconds": (
        [f"CREATE INDEX slow ON scan_jobs (id, {COSTLY}) WHERE state = 'NONE'"],
        "There is a index 'slow' which is not SafeURL's.",
    ),
    "unique index added": (
        ["CREATE UNIQUE INDEX one ON workers (host)"],
        "There is a index 'one' which is not SafeURL's.",
    ),
    "name with spaces and a quote": (
        ['CREATE TABLE "scan_jobs \' " (a TEXT)'],
        "which is not SafeURL's.",
    ),
}

#: As above, for who writes SQLite's own table of the schema.
RAW_CHANGES: Mapping[str, tuple[Sequence[str], str]] = {
    "CHECK of the state machine made void": (
        [
            (
                "UPDATE sqlite_master SET sql = replace(sql, 'when_final CHECK (', "
                "'when_final CHECK (1 OR ') WHERE name = 'scan_jobs'"
            )
        ],
        'The table scan_jobs is changed: without "CONSTRAINT scan_jobs_finished_when_final',
    ),
    "text that ends for SQLite before ours begins": (
        [
            (
                "UPDATE sqlite_master SET sql = 'CREATE TRIGGER audit_logs_no_delete BEFORE DELETE "
                "ON audit_logs BEGIN SELECT 1; END;' || char(0) || sql "
                "WHERE name = 'audit_logs_no_delete'"
            )
        ],
        "The trigger audit_logs_no_delete is changed.",
    ),
    "statistics in other words": (
        [
            "ANALYZE",
            (
                "UPDATE sqlite_master SET sql = 'CREATE TABLE sqlite_stat1(tbl, idx, stat)' "
                "WHERE name = 'sqlite_stat1'"
            ),
        ],
        "There is a table 'sqlite_stat1' which is not SafeURL's.",
    ),
}

#: For the same, what SQLite itself refuses to read.
GARBAGE: Mapping[str, Sequence[str]] = {
    "a trigger kept as a table": [
        "UPDATE sqlite_master SET type = 'table' WHERE name = 'audit_logs_no_delete'"
    ],
    "no SQL": ["INSERT INTO sqlite_master VALUES ('table', 'x', 'x', 2, 'CREATE nothing')"],
    "a trigger twice": [
        "INSERT INTO sqlite_master SELECT * FROM sqlite_master WHERE name = 'audit_logs_no_delete'"
    ],
    "a view for the schema itself": [
        (
            "INSERT INTO sqlite_master VALUES ('view', 'sqlite_schema', 'sqlite_schema', 0, "
            "'CREATE VIEW sqlite_schema AS SELECT 1 AS type')"
        )
    ],
    "a name that is not UTF-8": [
        "UPDATE sqlite_master SET name = CAST(x'437261fcfe20' AS TEXT) WHERE name = 'workers'"
    ],
    "SQL that is not UTF-8": [
        "UPDATE sqlite_master SET sql = CAST(x'437261fcfe20' AS TEXT) WHERE name = 'workers'"
    ],
    "a table on no page": ["UPDATE sqlite_master SET rootpage = 99999999 WHERE name = 'workers'"],
}


def apply(path: Path, statements: Sequence[str]) -> None:
    """Apply the change to a file that is not open, with every protection of SQLite off."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA writable_schema = ON")
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute("PRAGMA ignore_check_constraints = ON")
        for statement in statements:
            database.execute(statement)


def demand_memory(path: Path) -> bytes:
    """Make a database with a length in its schema for which SQLite needs 4 GiB; return its bytes.

    Python then raises MemoryError, which is not an error of sqlite3.
    """
    columns = ", ".join(f"c{number} TEXT" for number in range(40))
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA page_size = 512")
        for number in range(40):
            database.execute(f"CREATE TABLE a{number} ({columns})")
    data = bytearray(path.read_bytes())
    # From the root of the schema to its first leaf, to the first row's length.
    cell = int.from_bytes(data[112:114])
    page = (int.from_bytes(data[cell : cell + 4]) - 1) * 512
    row = page + int.from_bytes(data[page + 8 : page + 10])
    data[row : row + 5] = b"\xff\xff\xff\xff\x61"
    path.write_bytes(data)
    with closing(sqlite3.connect(path)) as database, suppress(MemoryError):
        database.execute("SELECT * FROM sqlite_master").fetchall()
        raise AssertionError("SQLite reads it")
    return bytes(data)
