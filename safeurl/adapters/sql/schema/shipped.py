"""The shipped schema: `schema.sql`, the numbered migrations, and their statements."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step from an older schema to the next."""

    number: int
    name: str
    sql: str


@cache
def schema_sql() -> str:
    """Return the text of `schema.sql`, from the wheel or from the root of a checkout."""
    packaged = files("safeurl.adapters.sql") / "schema.sql"
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[4] / "schema.sql").read_text(encoding="utf-8")


@cache
def migrations() -> tuple[Migration, ...]:
    """Return all migrations, oldest first; a file is named `<number>_<name>.sql`."""
    folder = files("safeurl.adapters.sql") / "migrations"
    found = (_migration(file) for file in folder.iterdir() if file.name.endswith(".sql"))
    return tuple(sorted(found, key=lambda migration: migration.number))


def _migration(file: Traversable) -> Migration:
    number, _, name = file.name.removesuffix(".sql").partition("_")
    return Migration(int(number), name, file.read_text(encoding="utf-8"))


def statements_of(script: str) -> list[str]:
    """Split a script into statements; the body of a trigger is not split.

    A statement ends with the line that completes it.
    """
    return list(_statements(script))


def _statements(script: str) -> Iterator[str]:
    pending = ""
    for line in script.splitlines(keepends=True):
        if not pending and (not line.strip() or line.startswith("--")):
            continue
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending.strip()
            pending = ""
    if pending.strip():
        raise ValueError(f"The script ends within a statement: {pending.strip()[:80]!r}")
