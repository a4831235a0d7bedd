"""SQLite with faults: locked, full, read-only or no database; and the owners of its files."""

import asyncio
import os
import resource
import sqlite3
import stat
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest

from safeurl.adapters.sql.database import Statement
from safeurl.adapters.sql.rows import stamp
from safeurl.adapters.sqlite import SQLiteStore
from safeurl.adapters.sqlite.database import SQLiteDatabase
from safeurl.errors import ConfigError, StoreBusyError, StoreFullError, StoreUnavailableError
from tests.support.builders import NOW, claimed, make_beat, make_scan

_TIMEOUT_S = 1.0

_HEARD = "INSERT INTO workers VALUES ('w', 'h', 1, 1, :now, :now, '', '{}', 0)"
_GROW = """
INSERT INTO audit_logs (scan_id, event, version, attempt, actor, detail, at)
SELECT 's', 'note', 0, 0, 'x', hex(zeroblob(100000)), :now
"""


@asynccontextmanager
async def _opened(path: Path, *, retry_for_s: float = _TIMEOUT_S) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(path, retry_for_s=retry_for_s)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def _opened_database(path: Path) -> AsyncIterator[SQLiteDatabase]:
    database = SQLiteDatabase(path, synchronous="FULL", busy_timeout_s=0.5)
    try:
        yield database
    finally:
        await database.close()


async def _migrate(store: SQLiteStore) -> None:
    await store.migrate()


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Return a file with a migrated database."""
    path = tmp_path / "state" / "safeurl.db"
    async with _opened(path, retry_for_s=10) as store:
        await store.migrate()
    return path


@contextmanager
def _locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Hold the write lock of the file, like another process in a long transaction."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


async def test_a_lock_that_stays_is_unavailability(path: Path) -> None:
    """Writing fails with our error after the given time, neither at once nor never."""
    with _locked(path):
        async with _opened(path) as store:
            began = time.monotonic()
            with pytest.raises(StoreBusyError, match="locked") as caught:
                await store.record_heartbeat(make_beat())
            assert isinstance(caught.value, StoreUnavailableError)
            assert caught.value.__cause__ is not None
            assert _TIMEOUT_S <= time.monotonic() - began < 30 * _TIMEOUT_S


async def test_reading_waits_for_no_writer(path: Path) -> None:
    """During a held write lock every read succeeds."""
    with _locked(path):
        async with _opened(path) as store:
            await store.ping()
            assert await store.due(now=NOW, limit=1) == []
            assert (await store.metrics(now=NOW)).pending == 0


async def test_a_lock_that_is_released_is_only_a_delay(path: Path) -> None:
    """The write goes through once the other writer is done, also after SQLite gave up waiting."""
    with _locked(path) as other:
        release = threading.Timer(1.5, other.execute, ["ROLLBACK"])
        release.start()
        # SQLite itself waits half of this time: shorter than the lock is held.
        async with _opened(path, retry_for_s=2.5) as store:
            await store.record_heartbeat(make_beat())
            assert await store.workers(since=NOW) == [make_beat()]
        release.join()


async def test_a_cancelled_write_holds_no_lock(path: Path) -> None:
    """A cancelled batch is either complete or absent, and other processes can write."""
    scans = [make_scan() for _ in range(20)]
    async with _opened(path, retry_for_s=10) as store:
        await store.add(scans)
        for steps, scan in enumerate(scans):
            write = asyncio.create_task(claimed(store, scan))
            for _ in range(steps * 3):
                await asyncio.sleep(0)
            write.cancel()
            await asyncio.wait([write])
            held = await store.get(scan.id)
            assert held is not None
            assert len(await store.audit(scan.id)) == 1 + held.version
            await store.record_heartbeat(make_beat())


async def test_a_write_cancelled_before_it_began_holds_no_lock(path: Path) -> None:
    """The thread of its connection gets the lock after the cancellation, and releases it."""
    heard = [Statement.of(_HEARD, {"now": stamp(NOW)})]
    async with _opened_database(path) as database:
        await database.read(Statement("SELECT 1"))
        with _locked(path) as other:
            write = asyncio.create_task(database.write(heard))
            # SQLite waits longer than this for the lock.
            await asyncio.wait([write], timeout=0.2)
            write.cancel()
            await asyncio.sleep(0)
            other.execute("ROLLBACK")
            await asyncio.wait([write])
            assert write.cancelled()
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")
        await database.write(heard)


async def test_a_full_disk_is_unavailability_and_loses_nothing(path: Path) -> None:
    """A write that does not fit is refused completely; stored rows can be read."""
    scan = make_scan()
    async with _opened(path) as store:
        await store.add([scan])
    async with _opened_database(path) as database:
        # The file may not grow: the full disk that SQLite itself can pretend.
        texts = [_HEARD, "PRAGMA max_page_count = 1", _GROW]
        with pytest.raises(StoreFullError, match="full"):
            await database.write([Statement.of(sql, {"now": stamp(NOW)}) for sql in texts])
        assert await database.read(Statement("SELECT count(*) AS n FROM workers")) == [{"n": 0}]
    async with _opened(path) as store:
        assert await store.page(limit=10) == [scan]


async def test_a_disk_that_fails_is_unavailability(path: Path) -> None:
    """The operating system refuses to write, in the middle of a batch; the next batch works."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = path.stat().st_size
    async with _opened(path) as store:
        await store.ping()
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            with pytest.raises(StoreUnavailableError, match="fails"):
                await store.add([make_scan(url="https://example.com/" + "x" * 500_000)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert await store.page(limit=10) == []
        await store.add([make_scan()])


async def test_what_is_no_database_is_unavailability(tmp_path: Path) -> None:
    """The message distinguishes a file of another program from a folder."""
    text = tmp_path / "text.db"
    text.write_text("This is not a database. " * 100)
    folder = tmp_path / "folder.db"
    folder.mkdir()

    async def refused(store: SQLiteStore, sentence: str) -> None:
        with pytest.raises(StoreUnavailableError, match=sentence):
            await store.migrate()

    async with _opened(text) as store:
        await refused(store, "not an SQLite database")
    async with _opened(folder) as store:
        await refused(store, "cannot be opened")


async def test_a_folder_that_cannot_be_made_is_unavailability(tmp_path: Path) -> None:
    """The message contains the operating system's own text."""
    (tmp_path / "file").touch()
    async with _opened(tmp_path / "file" / "below" / "safeurl.db") as store:
        with pytest.raises(StoreUnavailableError, match="Not a directory"):
            await store.ping()


async def test_an_empty_database_asks_to_be_migrated(tmp_path: Path) -> None:
    """Both `ping` and any use of the tables name the command that helps."""
    (tmp_path / "empty.db").touch()
    async with _opened(tmp_path / "empty.db") as store:
        asks: list[Callable[[], Awaitable[object]]] = [
            store.ping,
            lambda: store.get("x"),
            lambda: store.add([make_scan()]),
        ]
        for ask in asks:
            with pytest.raises(StoreUnavailableError, match="safeurl migrate"):
                await ask()


async def test_where_there_is_no_database_only_writing_makes_one(tmp_path: Path) -> None:
    """A folder that was misspelt is not taken for one without scans."""
    path = tmp_path / "misspelt" / "safeurl.db"
    async with _opened(path) as store:
        asks: list[Callable[[], Awaitable[object]]] = [
            store.ping,
            store.require_schema,
            lambda: store.get("x"),
        ]
        for ask in asks:
            with pytest.raises(StoreUnavailableError, match="There is no database at"):
                await ask()
        assert not path.parent.exists()
        await store.migrate()
        await store.require_schema()


async def test_a_database_of_a_newer_version_is_left_alone(path: Path) -> None:
    """`ping` reports it; nothing is migrated backwards."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "INSERT INTO schema_migrations VALUES (999, 'later', '2999-01-01T00:00:00.000000Z')"
        )
    async with _opened(path) as store:
        with pytest.raises(StoreUnavailableError, match="newer version"):
            await store.ping()
        assert await store.migrate() == []


async def test_folder_and_files_are_ours_alone(tmp_path: Path) -> None:
    """The modes are 0700 and 0600 for every umask, WAL included."""
    path = tmp_path / "deep" / "state" / "safeurl.db"
    before = os.umask(0)
    try:
        async with _opened(path) as store:
            await store.migrate()
            await store.record_heartbeat(make_beat())
            modes = {
                entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in path.parent.iterdir()
            }
            assert modes == {"safeurl.db": 0o600, "safeurl.db-wal": 0o600, "safeurl.db-shm": 0o600}
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_the_settings_reach_every_connection(path: Path) -> None:
    """WAL is stored in the file; the other settings are read from live connections."""
    settings = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "timeout": 500}
    async with _opened_database(path) as database:
        pragmas = [Statement(f"PRAGMA {name}") for name in (*list(settings)[:3], "busy_timeout")]
        found = await asyncio.gather(*(database.read(pragma) for pragma in pragmas))
        assert {name: value for (row,) in found for name, value in row.items()} == settings


def test_an_unknown_synchronous_does_not_start(tmp_path: Path) -> None:
    """The fault is found before anything is opened."""
    with pytest.raises(ConfigError, match="NORMAL, FULL"):
        SQLiteStore(tmp_path / "x.db", synchronous="OFF")


def test_a_store_made_before_a_fork_serves_the_child(path: Path) -> None:
    """Nothing is open before the first call, so parent and child each get their own."""
    scan = make_scan()
    store = SQLiteStore(path)

    async def act() -> None:
        await store.add([scan])
        await claimed(store, scan)
        await store.close()

    async def check() -> None:
        held = await store.get(scan.id)
        assert held is not None
        assert held.attempt == 1
        await store.close()

    # No event loop may run while the process is forked, so this test is not async.
    child = os.fork()
    if child == 0:
        asyncio.run(act())
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    asyncio.run(check())
