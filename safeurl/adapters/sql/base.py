"""What every part of the SQL store stands on: a database, asked with patience."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from safeurl.adapters.sql.database import Database, Row, Statement, Value
from safeurl.adapters.sql.retry_busy import retry_busy

Answer = TypeVar("Answer")


class SQLBase:
    """Reads and batches over any `Database`; every batch that is sent may be repeated."""

    def __init__(self, database: Database, *, patience_s: float) -> None:
        """`patience_s` bounds how long a locked or absent database is asked again."""
        self._database = database
        self._patience_s = patience_s

    async def _read(self, sql: str, **args: Value) -> list[Row]:
        return await self._patiently(lambda: self._database.read(Statement.of(sql, args)))

    async def _write(self, batch: Sequence[Statement]) -> list[list[Row]]:
        return await self._patiently(lambda: self._database.write(batch))

    async def _patiently(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        return await retry_busy(self._patience_s, ask)
