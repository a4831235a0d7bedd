"""What the shared store needs of a database: batches of statements that happen wholly or not."""

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
        """Take from `args` what the SQL names, because sqld refuses a value too many."""
        return cls(sql, {name: args[name] for name in _parameters(sql)})


@lru_cache(maxsize=256)
def _parameters(sql: str) -> frozenset[str]:
    return frozenset(re.findall(r":([a-z_]+)", sql))


#: The schema is missing or older than this code.
NO_SCHEMA = "The database has no schema of this version yet. `safeurl migrate` makes it."


class Database(Protocol):
    """One connection room; raises `StoreUnavailableError` and `RowRefusedError` only."""

    async def read(self, statement: Statement) -> list[Row]:
        """Run one SELECT without taking the write lock."""

    async def read_all(self, batch: Sequence[Statement]) -> list[list[Row]]:
        """Run SELECTs that all see the database at one moment; return the rows of each."""

    async def write(self, batch: Sequence[Statement]) -> list[list[Row]]:
        """Run the batch as one transaction, all or nothing; the first statement writes.

        Returns the rows of each statement, an empty list for one that returns none.
        """

    async def close(self) -> None:
        """Release connections and threads."""
