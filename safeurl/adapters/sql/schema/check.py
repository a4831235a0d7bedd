"""Compares the schema of a database, as SQLite stores it, with the schema of SafeURL.

Only `sqlite_master` is read: no view, trigger, generated column or virtual table of the database
runs, so that a hostile schema can be checked before any other read.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from functools import cache
from typing import NamedTuple

from safeurl.adapters.sql.schema.shipped import migrations, schema_sql, statements_of
from safeurl.adapters.sql.schema.sql_text import definitions, normalized
from safeurl.model.audit import Risk, SchemaFault

#: Every object of the database, in the order of creation. SQLite uses only the text, but the type
#: and the names are compared too. The name `sqlite_schema` is not used: it is an alias, which an
#: object of this name could shadow.
OBJECTS = "SELECT type, name, tbl_name, sql FROM main.sqlite_master ORDER BY rowid LIMIT 1000"

LEDGER = "schema_migrations"

#: The most characters of a definition or a name that a message quotes.
_MAX_QUOTED = 100


class SchemaObject(NamedTuple):
    """A row of `sqlite_master` with normalized SQL; a value of a wrong type is kept as its repr."""

    kind: str
    name: str
    table: str
    sql: str | None


def _own(name: str, sql: str) -> SchemaObject:
    return SchemaObject("table", name, name, sql)


#: Objects that the database engine adds: SQLite's statistics (ANALYZE, PRAGMA optimize), and
#: libSQL's table of functions. They are allowed with exactly this text.
_ENGINE_OBJECTS = frozenset(
    {
        _own("sqlite_stat1", "CREATE TABLE sqlite_stat1(tbl,idx,stat)"),
        _own("sqlite_stat4", "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)"),
        _own(
            "libsql_wasm_func_table",
            "CREATE TABLE libsql_wasm_func_table (name text PRIMARY KEY, body text) WITHOUT ROWID",
        ),
    }
)


#: The beginning of the text of each kind, as SQLite writes it.
_RISKS = {
    "CREATE TRIGGER ": Risk.NONE,
    "CREATE VIEW ": Risk.NONE,
    "CREATE INDEX ": Risk.CHECKING,
    "CREATE UNIQUE INDEX ": Risk.CHECKING,
    "CREATE TABLE ": Risk.CHECKING,
    "CREATE VIRTUAL TABLE ": Risk.CHECKING,
}


def objects_of(rows: Iterable[Mapping[str, object]]) -> list[SchemaObject]:
    """Return the objects in the rows of `OBJECTS`, which may contain any values."""
    return [
        SchemaObject(
            _text(row["type"]),
            _text(row["name"]),
            _text(row["tbl_name"]),
            None if row["sql"] is None else normalized(_text(row["sql"])),
        )
        for row in rows
    ]


def _text(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


@cache
def reference(numbers: frozenset[int]) -> tuple[SchemaObject, ...]:
    """Return the objects of a database that has these migrations."""
    ledger, *_ = statements_of(schema_sql())
    if numbers == frozenset(step.number for step in migrations()):
        scripts = [schema_sql()]
    else:
        scripts = [ledger, *(step.sql for step in migrations() if step.number in numbers)]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        database.row_factory = sqlite3.Row
        for script in scripts:
            for statement in statements_of(script):
                database.execute(statement)
        return tuple(objects_of(dict(row) for row in database.execute(OBJECTS)))


def current() -> tuple[SchemaObject, ...]:
    """Return the objects of a database of this version."""
    return reference(frozenset(step.number for step in migrations()))


def has_ledger(objects: Sequence[SchemaObject]) -> bool:
    """Return whether the table of migrations is the plain table that may be read."""
    named = [each for each in objects if each.name.lower() == LEDGER and each.kind != "index"]
    return named == [each for each in current() if each.name == LEDGER]


def schema_faults(
    found: Sequence[SchemaObject], wanted: Sequence[SchemaObject]
) -> list[SchemaFault]:
    """Return a fault for each missing, changed or additional object; an empty list for none."""
    surplus = list((Counter(found) - Counter(wanted)).elements())
    faults = []
    for each in (Counter(wanted) - Counter(found)).elements():
        changed = next((other for other in surplus if other[:2] == each[:2]), None)
        if changed is not None:
            surplus.remove(changed)
        faults.append(_fault(each, changed))
    ours = {each.name.lower() for each in wanted if each.kind == "table"}
    return [*faults, *(_extra(each, ours) for each in surplus if each not in _ENGINE_OBJECTS)]


def _fault(wanted: SchemaObject, found: SchemaObject | None) -> SchemaFault:
    if found is None:
        risk = Risk.READING if wanted.kind == "table" else Risk.NONE
        what = "is missing"
    else:
        risk = Risk.READING if wanted.kind == "table" else _risk(found)
        what = f"is changed{_difference(wanted, found)}"
    text = f"The {wanted.kind} {wanted.name} {what}."
    return SchemaFault(kind=wanted.kind, name=wanted.name, text=text, risk=risk)


def _extra(found: SchemaObject, ours: set[str]) -> SchemaFault:
    kind, name = _cut(found.kind), _cut(found.name)
    return SchemaFault(
        kind=kind,
        name=name,
        text=f"There is a {kind} {name!r} which is not SafeURL's.",
        # If a second object has the name of one of our tables, a SELECT may read that object.
        risk=Risk.READING if found.name.lower() in ours else _risk(found),
    )


def _risk(found: SchemaObject) -> Risk:
    """Return the risk by the text, which SQLite uses, and not by the type in the same row."""
    starts = (found.sql or "").startswith
    return next((risk for start, risk in _RISKS.items() if starts(start)), Risk.READING)


def _difference(wanted: SchemaObject, found: SchemaObject) -> str:
    if wanted.kind != "table" or wanted.sql is None or found.sql is None:
        return ""
    want, have = Counter(definitions(wanted.sql)), Counter(definitions(found.sql))
    lost = [f"without {_cut(each)!r}" for each in (want - have).elements()]
    gained = [f"with {_cut(each)!r}" for each in (have - want).elements()]
    return ": " + ", ".join([*lost, *gained]) if lost or gained else ""


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}…"
