"""Every `ScanStore` there is, each opened on an empty database of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from safeurl.adapters.libsql import LibSQLStore
from safeurl.adapters.memory.scans import MemoryStore
from safeurl.adapters.sqlite import SQLiteStore
from safeurl.ports.store import Store
from tests.support.libsql_proxy import LibSQLProxy
from tests.support.sqld import Sqld

Room = Callable[[Path], AbstractAsyncContextManager[Store]]
Scenario = Callable[[Store], Awaitable[None]]


@asynccontextmanager
async def memory(_folder: Path) -> AsyncIterator[Store]:
    """Open the shipped fake."""
    yield MemoryStore()


@asynccontextmanager
async def sqlite(folder: Path) -> AsyncIterator[Store]:
    """Open a file."""
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
    """Open sqld through a proxy that refuses what Turso Cloud refuses."""
    with Sqld(folder / "sqld") as server, LibSQLProxy(server.port, as_turso=True) as proxy:
        url = f"http://{proxy.authority}"
        async with _ready(LibSQLStore(url, transport="pipeline")) as store:
            yield store


ROOMS: tuple[Room, ...] = (memory, sqlite, libsql_ws, libsql_http, libsql_turso)


@asynccontextmanager
async def _ready(store: Store) -> AsyncIterator[Store]:
    try:
        await store.migrate()
        yield store
    finally:
        await store.close()


def on_every_store(scenario: Scenario) -> Callable[[Room, Path], None]:
    """Make a test of an async function; the fixture `room` runs it once per implementation."""

    def test(room: Room, tmp_path: Path) -> None:
        async def run() -> None:
            async with room(tmp_path) as store:
                await scenario(store)

        asyncio.run(run())

    # Not functools.wraps: pytest would see the wrapped function's parameter, not the fixtures.
    test.__name__ = scenario.__name__
    test.__doc__ = scenario.__doc__
    return test
