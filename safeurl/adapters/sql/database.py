"""The interface of a database for the SQL store: batches that run completely or not at all."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol, Self

Value = str | int | float | None
Row = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement with named parameters (`:name`)."""

    sql: str
    args: Mapping[str, Value] = field(default_factory=dict)

    @classmethod
    def of(cls, sql: str, args: Mapping[str, Value]) -> Self:
        """Return the statement with the arguments that it names; sqld refuses unused ones."""
        return cls(sql, {name: args[name] for name in _parameters(sql)})


@lru_cache(maxsize=256)
def _parameters(sql: str) -> frozenset[str]:
    return frozenset(re.findall(r":([a-z_]+)", sql))


#: The message for a schema that is missing or older than this code.
NO_SCHEMA = "The database has no schema of this version yet. `safeurl migrate` makes it."


class Database(Protocol):
    """Connections to one database; raise only `StoreUnavailableError` and `RowRefusedError`."""

    async def read(self, statement: Statement) -> list[Row]:
        """Run one SELECT without taking the write lock."""

    async def read_all(self, batch: Sequence[Statement]) -> list[list[Row]]:
        """Run SELECTs in one snapshot of the database; return the rows of each."""

    async def write(self, batch: Sequence[Statement]) -> list[list[Row]]:
        """Run the batch as one transaction, completely or not at all. The first statement writes.

        Return the rows of each statement; an empty list for a statement without rows.
        """

    async def close(self) -> None:
        """Close the connections and end their threads."""
