"""The base class of all parts of the SQL store: a database, and retries while it is busy."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from safeurl.adapters.sql.database import Database, Row, Statement, Value
from safeurl.adapters.sql.retry_busy import retry_busy

Returned = TypeVar("Returned")


class SQLBase:
    """Reads and writes with any `Database`. Every batch may run twice without harm."""

    def __init__(self, database: Database, *, retry_for_s: float) -> None:
        """Store the database; a call is repeated for `retry_for_s` seconds while it is busy."""
        self._database = database
        self._retry_for_s = retry_for_s

    async def _read(self, sql: str, **args: Value) -> list[Row]:
        return await self._with_retries(lambda: self._database.read(Statement.of(sql, args)))

    async def _write(self, batch: Sequence[Statement]) -> list[list[Row]]:
        return await self._with_retries(lambda: self._database.write(batch))

    async def _with_retries(self, call: Callable[[], Awaitable[Returned]]) -> Returned:
        return await retry_busy(self._retry_for_s, call)
