"""Migrates a database to the schema of this code; several processes may do so at the same time."""

from collections.abc import Sequence
from datetime import UTC, datetime

from safeurl.adapters.sql.database import NO_SCHEMA, Database, Statement
from safeurl.adapters.sql.rows import stamp
from safeurl.adapters.sql.schema.shipped import Migration, migrations, schema_sql, statements_of
from safeurl.adapters.sql.statements import schema as statements
from safeurl.errors import RowRefusedError, StoreUnavailableError


async def migrate(database: Database) -> list[int]:
    """Apply the missing migrations, each completely or not at all; return the numbers applied here.

    An empty database gets `schema.sql` in one step. A second process, or a second try after a lost
    response, violates the primary key of `schema_migrations` and finds the migrations applied.
    """
    ledger, *schema = statements_of(schema_sql())
    await database.write([Statement(ledger)])
    done = await applied(database)
    if not done:
        steps = [(migrations(), schema)]
    else:
        steps = [((m,), statements_of(m.sql)) for m in migrations() if m.number not in done]
    return [number for step in steps for number in await _apply(database, *step)]


async def _apply(
    database: Database, recorded: Sequence[Migration], sql: Sequence[str]
) -> list[int]:
    numbers = [migration.number for migration in recorded]
    entries = [_entry(migration) for migration in recorded]
    try:
        await database.write([*entries, *(Statement(text) for text in sql)])
    except RowRefusedError:
        if not set(numbers) <= await applied(database):
            raise
        return []
    return numbers


def _entry(migration: Migration) -> Statement:
    now = stamp(datetime.now(UTC))
    return Statement(
        statements.MIGRATED, {"number": migration.number, "name": migration.name, "now": now}
    )


async def applied(database: Database) -> set[int]:
    """Return the numbers of the migrations that the database has."""
    rows = await database.read(Statement(statements.MIGRATIONS))
    return {int(str(row["number"])) for row in rows}


async def require_current(database: Database) -> None:
    """Raise an error unless the database has exactly the migrations of this code."""
    done = await applied(database)
    known = {migration.number for migration in migrations()}
    if known - done:
        raise StoreUnavailableError(NO_SCHEMA)
    if done - known:
        raise StoreUnavailableError("The database was made by a newer version of SafeURL.")
