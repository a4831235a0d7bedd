"""Validates the database of a backup: first the text of the schema; then pages, rows and keys.

Until the schema is known to be SafeURL's, only `sqlite_master` is read, so that no foreign view,
trigger, generated column, expression or virtual table ever runs.
"""

import sqlite3
from collections.abc import Iterator, Sequence

from msgspec import Struct

from safeurl.adapters.backup.snapshot import NO_MEMORY, SCHEMA_NOT_UTF8, first_fault, inventory
from safeurl.adapters.sql.database import Row, Statement
from safeurl.adapters.sql.schema.check import (
    LEDGER,
    OBJECTS,
    SchemaObject,
    current,
    has_ledger,
    objects_of,
    reference,
    schema_faults,
)
from safeurl.adapters.sql.schema.contents import rule_counts
from safeurl.adapters.sql.schema.shipped import migrations
from safeurl.model.audit import SchemaFault
from safeurl.model.records.backup import Inventory

#: The number of differences that are listed; the others are only counted.
_MAX_NAMED = 5
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
#: SQLite stopped because one of our limits was reached.
_LIMITS = {
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_FULL,
}
#: Numbers that SQLite stores for the application; SafeURL sets none.
_NUMBERS = ("user_version", "application_id")


class ValidationResult(Struct, frozen=True, kw_only=True):
    """The inventory of a valid database, or the reason of its refusal; exactly one field is set."""

    inventory: Inventory | None = None
    #: The file is damaged, or rows violate the constraints of their tables.
    damage: str | None = None
    #: SafeURL did not create the database.
    foreign: str | None = None
    #: A limit was reached before the validation ended.
    exceeded: str | None = None


def validate(database: sqlite3.Connection) -> ValidationResult:
    """Validate an untrusted database that `open_copy` opened."""
    try:
        objects = _objects(database)
        differences = _schema_differences(database, objects)
        if differences:
            return ValidationResult(foreign=" ".join(differences))
        wrong = (
            first_fault(database)
            or _broken_constraints(database, objects)
            or _invalid_text(database, objects)
        )
        return (
            ValidationResult(damage=wrong)
            if wrong
            else ValidationResult(inventory=inventory(database))
        )
    except sqlite3.Error as exc:
        return _result_of_error(exc)
    except UnicodeDecodeError:
        return ValidationResult(damage=SCHEMA_NOT_UTF8)
    except MemoryError:
        return ValidationResult(exceeded=NO_MEMORY)


def _result_of_error(exc: sqlite3.Error) -> ValidationResult:
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
    if code in _LIMITS:
        return ValidationResult(exceeded=str(exc))
    if code in _DAMAGE:
        return ValidationResult(damage=str(exc))
    return ValidationResult(foreign=f"{exc}.")


def _rows(database: sqlite3.Connection, statement: Statement) -> Iterator[Row]:
    cursor = database.execute(statement.sql, dict(statement.args))
    names = [column[0] for column in cursor.description]
    return (dict(zip(names, row, strict=True)) for row in cursor)


def _objects(database: sqlite3.Connection) -> list[SchemaObject]:
    return objects_of(_rows(database, Statement(OBJECTS)))


def _broken_constraints(
    database: sqlite3.Connection, objects: Sequence[SchemaObject]
) -> str | None:
    """Return the constraints that rows violate, or None."""
    counts = rule_counts(objects)
    for count in counts:
        while (statement := count.next()) is not None:
            count.add(next(_rows(database, statement)))
    faults = [fault for count in counts for fault in count.faults()]
    return " ".join(faults[:_MAX_NAMED]).removesuffix(".") or None


def _invalid_text(database: sqlite3.Connection, objects: Sequence[SchemaObject]) -> str | None:
    """Return the table that has text which is not UTF-8, or None; SQLite does not check text."""
    for table in (each.name for each in objects if each.kind == "table"):
        try:
            for _ in database.execute(f"SELECT * FROM {table}"):  # noqa: S608 - a name of schema.sql
                pass
        except sqlite3.OperationalError as exc:
            if hasattr(exc, "sqlite_errorcode"):
                raise
            # Raised by Python when it decodes the row; the message quotes the whole value.
            return f"a row of {table} holds text that is not UTF-8"
    return None


def _schema_differences(database: sqlite3.Connection, objects: Sequence[SchemaObject]) -> list[str]:
    """Return the differences from the schema that the applied migrations create."""
    if not has_ledger(objects):
        faults = schema_faults(objects, current())
        return _sentences(faults) or [f"The table {LEDGER} is changed."]
    numbers = [f"Its {name} is {value}." for name in _NUMBERS if (value := _number(database, name))]
    applied = _applied(database)
    known = [step.number for step in migrations()]
    if applied != known[: len(applied)]:
        return [*numbers, "Its set of migrations is that of no version of SafeURL."]
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
