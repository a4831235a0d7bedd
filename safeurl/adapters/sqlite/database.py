"""The SQLite room: an async SQLAlchemy engine over aiosqlite, and its errors made ours."""

import asyncio
import errno
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import cast

import aiosqlite
from sqlalchemy import URL, PoolProxiedConnection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from safeurl.adapters.files.sharing import share_file
from safeurl.adapters.sql.database import NO_SCHEMA, Row, Statement
from safeurl.adapters.sqlite.full_disk import is_full, read_alone
from safeurl.errors import (
    ConfigError,
    RowRefusedError,
    RowUnreadableError,
    StoreAbsentError,
    StoreBusyError,
    StoreFullError,
    StoreUnavailableError,
)
from safeurl.permissions import explain

_SYNCHRONOUS = ("NORMAL", "FULL", "EXTRA")

_PASSING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}

#: What is wrong with the file, the disk or the machine, not with our statement.
_TROUBLE = {
    sqlite3.SQLITE_CANTOPEN: "The database file cannot be opened",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged",
    sqlite3.SQLITE_FULL: "The disk that holds the database is full",
    sqlite3.SQLITE_IOERR: "The disk that holds the database fails",
    sqlite3.SQLITE_NOMEM: "There is no memory left for the database",
    sqlite3.SQLITE_NOTADB: "The database file is not an SQLite database",
    sqlite3.SQLITE_PERM: "The database file may not be opened",
    sqlite3.SQLITE_READONLY: "The database file may not be written",
}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
#: What SQLite says where it cannot make or stretch a file beside the database.
_FOR_WANT_OF_ROOM = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}
#: Those of which the operating system knows more.
_REFUSED = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY}


class SQLiteDatabase:
    """Batches on one file; the engine is made by the first call and belongs to its event loop."""

    def __init__(self, path: Path, *, synchronous: str, busy_timeout_s: float) -> None:
        """Remember what to open; nothing is opened here."""
        if synchronous not in _SYNCHRONOUS:
            raise ConfigError((f"SQLite's synchronous is one of {', '.join(_SYNCHRONOUS)}.",))
        self._path = path
        self._synchronous = synchronous
        self._busy_timeout_s = busy_timeout_s
        self._engine: AsyncEngine | None = None

    async def read(self, statement: Statement) -> list[Row]:
        """Run it alone, outside any transaction: in WAL a reader waits for nobody."""
        (rows,) = await self.read_all([statement])
        return rows

    async def read_all(self, batch: Sequence[Statement]) -> list[list[Row]]:
        """Run several in one read transaction, which sees what stood there when it began.

        Reading makes no database where there is none: a folder that was misspelt holds no scans,
        and must not be taken for one that does.
        """
        with self._translated():
            self._require_file()
            try:
                async with self._driver() as driver:
                    return await _read(driver, batch)
            except (DBAPIError, sqlite3.Error) as exc:
                if _code(exc) not in _FOR_WANT_OF_ROOM or not is_full(self._path.parent):
                    raise
            # The first who opens the database makes a file beside it, for which there is no room.
            return await asyncio.to_thread(read_alone, self._path, batch, self._busy_timeout_s)

    async def write(self, batch: Sequence[Statement]) -> list[list[Row]]:
        """Run it between BEGIN IMMEDIATE and COMMIT."""
        with self._translated():
            async with self._driver() as driver:
                try:
                    await driver.execute_fetchall("BEGIN IMMEDIATE")
                    rows = [await _run(driver, statement) for statement in batch]
                    await driver.commit()
                except BaseException:
                    # Not asked whether there is a transaction: where we were cancelled, the
                    # connection's thread may begin it only now, before it comes to this.
                    await driver.rollback()
                    raise
                return rows

    async def close(self) -> None:
        """Close every connection and end its thread."""
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    @asynccontextmanager
    async def _driver(self) -> AsyncIterator[aiosqlite.Connection]:
        """Lend a pooled connection as aiosqlite's own.

        SQLAlchemy's cursors cross to the connection's thread four times for each statement, the
        driver's `execute_fetchall` once; a batch takes a third of the time.
        """
        async with self._open().connect() as connection:
            pooled = await connection.get_raw_connection()
            # A cast, because SQLAlchemy does not know which driver its URL chose.
            driver = cast("aiosqlite.Connection", pooled.driver_connection)
            driver.row_factory = sqlite3.Row
            yield driver

    def _require_file(self) -> None:
        if self._engine is not None:
            return
        try:
            self._path.stat()
        except FileNotFoundError as exc:
            raise StoreAbsentError(
                f"There is no database at {self._path}. SAFEURL_STATE_DIR names its folder; the "
                "first submit or start of SafeURL makes it."
            ) from exc

    def _open(self) -> AsyncEngine:
        if self._engine is None:
            _make_file(self._path)
            self._engine = create_async_engine(
                URL.create("sqlite+aiosqlite", database=str(self._path)),
                # No transaction of the driver's own making: ours says IMMEDIATE.
                connect_args={"timeout": self._busy_timeout_s, "isolation_level": None},
                pool_timeout=self._busy_timeout_s,
                # `write` ends what it begins, and to ask the connection's thread again takes time.
                pool_reset_on_return=None,
                hide_parameters=True,
            )
            event.listen(self._engine.sync_engine, "connect", self._on_connect)
        return self._engine

    def _on_connect(self, connection: PoolProxiedConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", f"synchronous={self._synchronous}", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeoutError as exc:
            raise StoreBusyError("Too many statements wait for the database.") from exc
        except OSError as exc:
            if exc.errno in _NO_ROOM:
                full = f"{_TROUBLE[sqlite3.SQLITE_FULL]}: {self._path}."
                raise StoreFullError(full) from exc
            raise _refused(sqlite3.SQLITE_CANTOPEN, self._path, exc.strerror) from exc
        except UnicodeDecodeError as exc:
            # Python's, when it reads SQLite's own message about a schema: that quotes the schema.
            damaged = _TROUBLE[sqlite3.SQLITE_CORRUPT]
            raise StoreUnavailableError(f"{damaged}: {self._path}.") from exc
        except MemoryError as exc:
            # Python's word for SQLITE_NOMEM, which a length in a damaged schema makes as well.
            short = _TROUBLE[sqlite3.SQLITE_NOMEM]
            sentence = f"{short}, or the file is damaged: {self._path}."
            raise StoreUnavailableError(sentence) from exc
        except (DBAPIError, sqlite3.Error) as exc:
            self._raise_ours(exc, _cause(exc))
            raise

    def _raise_ours(self, exc: Exception, cause: BaseException | None) -> None:
        code = _code(exc)
        if code in _FOR_WANT_OF_ROOM and is_full(self._path.parent):
            code = sqlite3.SQLITE_FULL
        if code in _PASSING:
            raise StoreBusyError(f"The database {self._path} is locked.") from exc
        if code in _REFUSED:
            raise _refused(code, self._path) from exc
        if code == sqlite3.SQLITE_FULL:
            raise StoreFullError(f"{_TROUBLE[code]}: {self._path}.") from exc
        if code in _TROUBLE:
            raise StoreUnavailableError(f"{_TROUBLE[code]}: {self._path}.") from exc
        if code == sqlite3.SQLITE_CONSTRAINT:
            raise RowRefusedError(f"The database refused a row: {cause}.") from exc
        if str(cause).startswith("Could not decode to UTF-8"):
            raise RowUnreadableError(f"The database holds what is not UTF-8: {cause}.") from exc
        if str(cause).startswith(("no such table", "no such column")):
            raise StoreUnavailableError(NO_SCHEMA) from exc


def _cause(exc: Exception) -> BaseException | None:
    return exc.orig if isinstance(exc, DBAPIError) else exc


def _code(exc: Exception) -> int:
    # The low byte is the primary code; the rest says where it happened.
    code: int = getattr(_cause(exc), "sqlite_errorcode", 0)
    return code & 0xFF


async def _read(driver: aiosqlite.Connection, batch: Sequence[Statement]) -> list[list[Row]]:
    if len(batch) == 1:
        try:
            return [await _run(driver, batch[0])]
        except BaseException:
            # Until its next call, the connection's thread keeps the error, and with it a cursor
            # that holds the snapshot.
            await driver.rollback()
            raise
    try:
        await driver.execute_fetchall("BEGIN")
        return [await _run(driver, statement) for statement in batch]
    finally:
        # There is nothing to commit. As in `write`, it is not asked whether there is a transaction.
        await driver.rollback()


async def _run(driver: aiosqlite.Connection, statement: Statement) -> list[Row]:
    return [dict(row) for row in await driver.execute_fetchall(statement.sql, dict(statement.args))]


def _make_file(path: Path) -> None:
    """Make folder and file ours, or our group's; SQLite gives the WAL the rights of the file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Never opened when it exists: closing it would drop the locks this process has on it.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        share_file(each)
    # Asked here, because aiosqlite's thread stumbles when it is SQLite that cannot open the file.
    if not path.is_file() or not os.access(path, os.R_OK | os.W_OK):
        raise _refused(sqlite3.SQLITE_CANTOPEN, path)


def _refused(code: int, path: Path, strerror: str | None = None) -> StoreUnavailableError:
    """Return the error that says what keeps us from the file, as far as anybody knows."""
    why = explain(path) or (f"{path}: {strerror}." if strerror else f"{path}.")
    return StoreUnavailableError(f"{_TROUBLE[code]}: {why}")
