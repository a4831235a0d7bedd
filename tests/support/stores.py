"""Every implementation of `Store`, each opened on its own empty database."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from safeurl.adapters.libsql import LibSQLStore
from safeurl.adapters.memory.store import MemoryStore
from safeurl.adapters.sqlite import SQLiteStore
from safeurl.ports.store import Store
from tests.support.libsql_proxy import LibSQLProxy
from tests.support.sqld import Sqld

OpenStore = Callable[[Path], AbstractAsyncContextManager[Store]]


@asynccontextmanager
async def memory(_folder: Path) -> AsyncIterator[Store]:
    """Open the store in memory."""
    yield MemoryStore()


@asynccontextmanager
async def sqlite(folder: Path) -> AsyncIterator[Store]:
    """Open a SQLite file."""
    async with _ready(SQLiteStore(folder / "state" / "safeurl.db")) as store:
        yield store


@asynccontextmanager
async def libsql_ws(folder: Path) -> AsyncIterator[Store]:
    """Open sqld through libsql-client's WebSockets."""
    with Sqld(folder / "sqld") as server:
        async with _ready(LibSQLStore(f"ws://{server.authority}")) as store:
            yield store


@asynccontextmanager
async def libsql_http(folder: Path) -> AsyncIterator[Store]:
    """Open sqld through libsql-client's HTTP."""
    with Sqld(folder / "sqld") as server:
        async with _ready(LibSQLStore(f"http://{server.authority}")) as store:
            yield store


@asynccontextmanager
async def libsql_turso(folder: Path) -> AsyncIterator[Store]:
    """Open sqld through a proxy with the refusals of Turso Cloud."""
    with Sqld(folder / "sqld") as server, LibSQLProxy(server.port, as_turso=True) as proxy:
        url = f"http://{proxy.authority}"
        async with _ready(LibSQLStore(url, transport="pipeline")) as store:
            yield store


STORES: tuple[OpenStore, ...] = (memory, sqlite, libsql_ws, libsql_http, libsql_turso)


@asynccontextmanager
async def _ready(store: Store) -> AsyncIterator[Store]:
    try:
        await store.migrate()
        yield store
    finally:
        await store.close()
