"""The SQLite database: an async SQLAlchemy engine with aiosqlite, whose errors become ours."""

import asyncio
import errno
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import cast

import aiosqlite
from sqlalchemy import URL, PoolProxiedConnection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry

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

_TEMPORARY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}

#: The messages for failures of the file, the disk or the machine, not of our statement.
_FAILURES = {
    sqlite3.SQLITE_CANTOPEN: "The database file cannot be opened",
    sqlite3.SQLITE_CORRUPT: "The database file is damaged",
    sqlite3.SQLITE_FULL: "The disk that holds the database is full",
    sqlite3.SQLITE_IOERR: "The disk that holds the database fails",
    sqlite3.SQLITE_NOMEM: "There is no memory left for the database",
    sqlite3.SQLITE_NOTADB: "The database file is not an SQLite database",
    sqlite3.SQLITE_PERM: "The database file may not be opened",
    sqlite3.SQLITE_READONLY: "The database file may not be written",
}
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
#: SQLite's codes if it cannot create or extend a file next to the database.
_MAYBE_FULL = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}
#: Codes for which the operating system has a more precise reason.
_REFUSED = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY}


class SQLiteDatabase:
    """Runs batches on one file. The first call creates the engine in its own event loop."""

    def __init__(self, path: Path, *, synchronous: str, busy_timeout_s: float) -> None:
        """Store the file and the options; nothing is opened here."""
        if synchronous not in _SYNCHRONOUS:
            raise ConfigError((f"SQLite's synchronous is one of {', '.join(_SYNCHRONOUS)}.",))
        self._path = path
        self._synchronous = synchronous
        self._busy_timeout_s = busy_timeout_s
        self._engine: AsyncEngine | None = None

    async def read(self, statement: Statement) -> list[Row]:
        """Run the statement outside a transaction; in WAL mode a reader waits for no writer."""
        (rows,) = await self.read_all([statement])
        return rows

    async def read_all(self, batch: Sequence[Statement]) -> list[list[Row]]:
        """Run the statements in one read transaction, which is a snapshot of its start.

        A read never creates the database, so that a misspelt folder is reported and not taken for
        an empty database.
        """
        with self._translated():
            self._require_file()
            try:
                async with self._driver() as driver:
                    return await _read(driver, batch)
            except (DBAPIError, sqlite3.Error) as exc:
                if _code(exc) not in _MAYBE_FULL or not is_full(self._path.parent):
                    raise
            # The first process that opens the database creates a file, but the disk is full.
            return await asyncio.to_thread(read_alone, self._path, batch, self._busy_timeout_s)

    async def write(self, batch: Sequence[Statement]) -> list[list[Row]]:
        """Run the batch between BEGIN IMMEDIATE and COMMIT."""
        with self._translated():
            cancelled = threading.Event()
            async with self._driver() as driver:
                try:
                    return await _in_thread(driver, partial(_write, cancelled), batch)
                except BaseException:
                    # The thread may begin the transaction only now, but before this rollback, which
                    # does nothing if the thread has committed.
                    cancelled.set()
                    await driver.rollback()
                    raise

    async def close(self) -> None:
        """Close every connection and end the thread of each."""
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    @asynccontextmanager
    async def _driver(self) -> AsyncIterator[aiosqlite.Connection]:
        """Yield the aiosqlite connection of a pooled connection, which has a thread of its own."""
        async with self._open().connect() as connection:
            pooled = await connection.get_raw_connection()
            # A cast, because SQLAlchemy's types do not know the driver that the URL chose.
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
            self._engine = _make_engine(
                str(self._path), synchronous=self._synchronous, busy_timeout_s=self._busy_timeout_s
            )
        return self._engine

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeoutError as exc:
            raise StoreBusyError("Too many statements wait for the database.") from exc
        except OSError as exc:
            if exc.errno in _DISK_FULL:
                full = f"{_FAILURES[sqlite3.SQLITE_FULL]}: {self._path}."
                raise StoreFullError(full) from exc
            raise _refused(sqlite3.SQLITE_CANTOPEN, self._path, exc.strerror) from exc
        except UnicodeDecodeError as exc:
            # Python could not decode an error message of SQLite that quotes the schema.
            damaged = _FAILURES[sqlite3.SQLITE_CORRUPT]
            raise StoreUnavailableError(f"{damaged}: {self._path}.") from exc
        except MemoryError as exc:
            # Python raises this for SQLITE_NOMEM, which a damaged length in a schema causes too.
            short = _FAILURES[sqlite3.SQLITE_NOMEM]
            sentence = f"{short}, or the file is damaged: {self._path}."
            raise StoreUnavailableError(sentence) from exc
        except (DBAPIError, sqlite3.Error) as exc:
            self._raise_ours(exc, _cause(exc))
            raise

    def _raise_ours(self, exc: Exception, cause: BaseException | None) -> None:
        code = _code(exc)
        if code in _MAYBE_FULL and is_full(self._path.parent):
            code = sqlite3.SQLITE_FULL
        if code in _TEMPORARY:
            raise StoreBusyError(f"The database {self._path} is locked.") from exc
        if code in _REFUSED:
            raise _refused(code, self._path) from exc
        if code == sqlite3.SQLITE_FULL:
            raise StoreFullError(f"{_FAILURES[code]}: {self._path}.") from exc
        if code in _FAILURES:
            raise StoreUnavailableError(f"{_FAILURES[code]}: {self._path}.") from exc
        if code == sqlite3.SQLITE_CONSTRAINT:
            raise RowRefusedError(f"The database refused a row: {cause}.") from exc
        if str(cause).startswith("Could not decode to UTF-8"):
            raise RowUnreadableError(
                f"The database contains text that is not UTF-8: {cause}."
            ) from exc
        if str(cause).startswith(("no such table", "no such column")):
            raise StoreUnavailableError(NO_SCHEMA) from exc


def preload() -> None:
    """Load what the first connection of a process would load, so that later forks share it.

    A connection to an empty database in memory is opened and closed: SQLAlchemy imports the driver
    and makes classes of its own only then. It takes a third of the CPU time of a short process.
    """
    asyncio.run(_open_and_close())


async def _open_and_close() -> None:
    engine = _make_engine(":memory:", synchronous=_SYNCHRONOUS[0], busy_timeout_s=1.0)
    try:
        async with engine.connect() as connection:
            await connection.get_raw_connection()
    finally:
        await engine.dispose()


def _make_engine(database: str, *, synchronous: str, busy_timeout_s: float) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=database),
        # The driver must not begin transactions: ours begin with IMMEDIATE.
        connect_args={"timeout": busy_timeout_s, "isolation_level": None},
        poolclass=AsyncAdaptedQueuePool,
        pool_timeout=busy_timeout_s,
        # `write` ends its transaction. A reset would cost one more call of the thread.
        pool_reset_on_return=None,
        hide_parameters=True,
    )

    def on_connect(connection: PoolProxiedConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    event.listen(engine.sync_engine, "connect", on_connect)
    return engine


def _cause(exc: Exception) -> BaseException | None:
    return exc.orig if isinstance(exc, DBAPIError) else exc


def _code(exc: Exception) -> int:
    # The low byte is the primary code; the other bytes are details.
    code: int = getattr(_cause(exc), "sqlite_errorcode", 0)
    return code & 0xFF


async def _read(driver: aiosqlite.Connection, batch: Sequence[Statement]) -> list[list[Row]]:
    try:
        return await _in_thread(driver, _read_one if len(batch) == 1 else _read_snapshot, batch)
    except BaseException:
        # Waits for the thread. Until its next call it keeps the error, and so a cursor whose
        # snapshot stays open.
        await driver.rollback()
        raise


async def _in_thread(
    driver: aiosqlite.Connection,
    work: Callable[[sqlite3.Connection, Sequence[Statement]], list[list[Row]]],
    batch: Sequence[Statement],
) -> list[list[Row]]:
    """Run a whole batch with one call of the connection's thread.

    Each call wakes both threads. The driver's own methods need one call for each statement, and
    SQLAlchemy's cursors four.
    """
    # Private, because the driver has no public method that calls its thread.
    run = cast("Callable[..., Awaitable[list[list[Row]]]]", driver._execute)  # noqa: SLF001
    return await run(work, driver._conn, batch)  # noqa: SLF001


def _write(
    cancelled: threading.Event, connection: sqlite3.Connection, batch: Sequence[Statement]
) -> list[list[Row]]:
    """Run the batch; after a cancellation it is not committed, and the caller rolls it back."""
    connection.execute("BEGIN IMMEDIATE")
    rows = [_run(connection, statement) for statement in batch if not cancelled.is_set()]
    if not cancelled.is_set():
        connection.commit()
    return rows


def _read_one(connection: sqlite3.Connection, batch: Sequence[Statement]) -> list[list[Row]]:
    return [_run(connection, statement) for statement in batch]


def _read_snapshot(connection: sqlite3.Connection, batch: Sequence[Statement]) -> list[list[Row]]:
    connection.execute("BEGIN")
    rows = [_run(connection, statement) for statement in batch]
    # There is nothing to commit.
    connection.rollback()
    return rows


def _run(connection: sqlite3.Connection, statement: Statement) -> list[Row]:
    return [dict(row) for row in connection.execute(statement.sql, dict(statement.args))]


def _make_file(path: Path) -> None:
    """Create folder and file for our user, or for our group too.

    SQLite gives its other files, such as the WAL, the mode of the database file.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # An existing file is not opened: closing it would drop the locks of this process on it.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    for each in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        share_file(each)
    # Checked here, because aiosqlite's thread fails badly if SQLite cannot open the file.
    if not path.is_file() or not os.access(path, os.R_OK | os.W_OK):
        raise _refused(sqlite3.SQLITE_CANTOPEN, path)


def _refused(code: int, path: Path, strerror: str | None = None) -> StoreUnavailableError:
    """Return the error with the reason why the file cannot be used, if the reason is known."""
    why = explain(path) or (f"{path}: {strerror}." if strerror else f"{path}.")
    return StoreUnavailableError(f"{_FAILURES[code]}: {why}")
