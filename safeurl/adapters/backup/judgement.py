"""Judging the database of a backup: the schema first, from its text; then pages, rows and links.

Until the schema was found to be SafeURL's, nothing but `sqlite_master` is read, so that no view,
trigger, generated column, expression or virtual table of somebody else's is ever run.
"""

import sqlite3
from collections.abc import Iterator, Sequence

from msgspec import Struct

from safeurl.adapters.backup.snapshot import NO_MEMORY, SCHEMA_NOT_UTF8, Census, census, fault
from safeurl.adapters.sql.contents import rule_counts
from safeurl.adapters.sql.database import Row, Statement
from safeurl.adapters.sql.schema import migrations
from safeurl.adapters.sql.schema_check import (
    LEDGER,
    OBJECTS,
    SchemaObject,
    current,
    has_ledger,
    objects_of,
    reference,
    schema_faults,
)
from safeurl.model.audit import SchemaFault

#: Differences that are named; of more there is only the number.
_MAX_NAMED = 5
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
#: SQLite gave up because a limit of ours was reached.
_LIMITS = {
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_FULL,
}
#: Numbers that SQLite keeps for the application; SafeURL sets none.
_NUMBERS = ("user_version", "application_id")


class Judgement(Struct, frozen=True, kw_only=True):
    """What a database holds, or why it is not taken: exactly one of the fields is set."""

    census: Census | None = None
    #: The file is torn, or rows break the rules of their tables.
    damage: str | None = None
    #: The database is not one that SafeURL made.
    foreign: str | None = None
    #: A limit was reached before all was checked.
    exceeded: str | None = None


def judge(database: sqlite3.Connection) -> Judgement:
    """Judge a database that nobody trusts, opened as `open_copy` does."""
    try:
        objects = _objects(database)
        differences = _differences(database, objects)
        if differences:
            return Judgement(foreign=" ".join(differences))
        wrong = (
            fault(database) or _broken_rules(database, objects) or _unreadable(database, objects)
        )
        return Judgement(damage=wrong) if wrong else Judgement(census=census(database))
    except sqlite3.Error as exc:
        return _judged(exc)
    except UnicodeDecodeError:
        return Judgement(damage=SCHEMA_NOT_UTF8)
    except MemoryError:
        return Judgement(exceeded=NO_MEMORY)


def _judged(exc: sqlite3.Error) -> Judgement:
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
    if code in _LIMITS:
        return Judgement(exceeded=str(exc))
    if code in _DAMAGE:
        return Judgement(damage=str(exc))
    return Judgement(foreign=f"{exc}.")


def _rows(database: sqlite3.Connection, statement: Statement) -> Iterator[Row]:
    cursor = database.execute(statement.sql, dict(statement.args))
    names = [column[0] for column in cursor.description]
    return (dict(zip(names, row, strict=True)) for row in cursor)


def _objects(database: sqlite3.Connection) -> list[SchemaObject]:
    return objects_of(_rows(database, Statement(OBJECTS)))


def _broken_rules(database: sqlite3.Connection, objects: Sequence[SchemaObject]) -> str | None:
    """Name the rules of the tables that rows break, or return None."""
    counts = rule_counts(objects)
    for count in counts:
        while (statement := count.next()) is not None:
            count.add(next(_rows(database, statement)))
    faults = [fault for count in counts for fault in count.faults()]
    return " ".join(faults[:_MAX_NAMED]).removesuffix(".") or None


def _unreadable(database: sqlite3.Connection, objects: Sequence[SchemaObject]) -> str | None:
    """Name a table with text that is none; SQLite keeps any bytes as text, and asks nobody."""
    for table in (each.name for each in objects if each.kind == "table"):
        try:
            for _ in database.execute(f"SELECT * FROM {table}"):  # noqa: S608 - a name of schema.sql
                pass
        except sqlite3.OperationalError as exc:
            if hasattr(exc, "sqlite_errorcode"):
                raise
            # Python's, when it makes the row; its text quotes the whole value.
            return f"a row of {table} holds what is not UTF-8"
    return None


def _differences(database: sqlite3.Connection, objects: Sequence[SchemaObject]) -> list[str]:
    """Name what differs from the schema that belongs to the migrations of the database."""
    if not has_ledger(objects):
        faults = schema_faults(objects, current())
        return _sentences(faults) or [f"The table {LEDGER} is changed."]
    numbers = [f"Its {name} is {value}." for name in _NUMBERS if (value := _number(database, name))]
    applied = _applied(database)
    known = [step.number for step in migrations()]
    if applied != known[: len(applied)]:
        return [*numbers, "It has migrations that no version of SafeURL has together."]
    return [*numbers, *_sentences(schema_faults(objects, reference(frozenset(applied))))]


def _applied(database: sqlite3.Connection) -> list[object]:
    rows = database.execute("SELECT number FROM schema_migrations ORDER BY number LIMIT 10000")
    return [number for (number,) in rows]


def _number(database: sqlite3.Connection, name: str) -> int:
    (value,) = database.execute(f"PRAGMA {name}").fetchone()
    return int(value)


def _sentences(faults: list[SchemaFault]) -> list[str]:
    named = [fault.text for fault in faults[:_MAX_NAMED]]
    more = len(faults) - len(named)
    return [*named, f"And {more} more."] if more > 0 else named
