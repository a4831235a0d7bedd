"""If a migration is refused, another process has done it, or an error is raised."""

from collections.abc import Sequence

import pytest

from safeurl.adapters.sql.database import Row, Statement
from safeurl.adapters.sql.schema.migrate import migrate
from safeurl.adapters.sql.schema.shipped import migrations
from safeurl.errors import RowRefusedError


class _Refusing:
    """A database that accepts the table of migrations and refuses all other statements."""

    def __init__(self, *, others_are_first: bool) -> None:
        self.others_are_first = others_are_first
        self.writes = 0

    async def read(self, statement: Statement) -> list[Row]:
        """Return the migrations of other processes; before our own try there are none."""
        assert "schema_migrations" in statement.sql
        done = self.others_are_first and self.writes > 1
        return [{"number": migration.number} for migration in migrations() if done]

    async def read_all(self, batch: Sequence[Statement]) -> list[list[Row]]:
        """Read one after the other."""
        return [await self.read(statement) for statement in batch]

    async def write(self, batch: Sequence[Statement]) -> list[list[Row]]:
        """Refuse all but the first batch."""
        self.writes += 1
        if self.writes > 1:
            raise RowRefusedError("The database refused a row.")
        return [[] for _ in batch]

    async def close(self) -> None:
        """Do nothing: there is no connection."""


async def test_who_comes_second_finds_the_work_done() -> None:
    """Its own entry trips over theirs."""
    assert await migrate(_Refusing(others_are_first=True)) == []


async def test_a_migration_that_a_row_breaks_is_told() -> None:
    """No process has done it, so the schema is not that of this version."""
    with pytest.raises(RowRefusedError):
        await migrate(_Refusing(others_are_first=False))
