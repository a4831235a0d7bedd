"""An audit trail with seals, and an attacker who owns its database and avoids triggers."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from safeurl.adapters.libsql import LibSQLStore
from safeurl.adapters.libsql.address import parse_address
from safeurl.adapters.libsql.database import LibSQLDatabase
from safeurl.adapters.sql.database import Database, Statement
from safeurl.adapters.sql.schema.shipped import schema_sql, statements_of
from safeurl.adapters.sqlite import SQLiteStore
from safeurl.adapters.sqlite.database import SQLiteDatabase
from safeurl.ports.store import Store
from safeurl.state import State
from tests.support.builders import LEASE, NOW, WORKER, brought_to
from tests.support.sqld import Sqld
from worker.leader.sealer import Sealer

#: The trail that `fill` writes: six scans of four rows, sealed by eight, then five rows unsealed.
SEALED_ROWS = 24
ROWS_PER_SEAL = 8
ROWS = 29

_TRIGGERS = (
    *("attempts_begin", "attempts_stay_what_they_are", "attempts_no_delete"),
    *("audit_logs_append", "audit_logs_no_update", "audit_logs_no_delete"),
    *("audit_seals_append", "audit_seals_no_update", "audit_seals_no_delete"),
)


@dataclass(frozen=True, slots=True)
class Victim:
    """A store, and direct access to its database."""

    store: Store
    database: Database

    async def suffer(self, changes: Sequence[str]) -> None:
        """Drop the triggers, make the changes and put the triggers back, in one batch."""
        drops = [f"DROP TRIGGER IF EXISTS {name}" for name in _TRIGGERS]
        makes = [sql for sql in statements_of(schema_sql()) if sql.split()[2] in _TRIGGERS]
        await self.database.write([Statement(sql) for sql in (*drops, *changes, *makes)])

    async def seal(self) -> int:
        """Seal the unsealed rows, as the leader."""
        sealer = Sealer(self.store, clock=lambda: NOW, max_rows=ROWS_PER_SEAL)
        return await sealer.seal((await self.store.lead("a", now=NOW, until=NOW + LEASE)).term)

    async def fill(self) -> None:
        """Write the trail: rows 1 to 24 under seals 1 to 3, rows 25 to 29 under none."""
        for _ in range(6):
            await brought_to(self.store, State.COMPLETED)
        await self.seal()
        await brought_to(self.store, State.FETCHING)
        scan = await brought_to(self.store, State.FETCHING)
        await self.store.append_audit(scan, event="sandbox", detail="{}", now=NOW, actor=WORKER)


OpenTrail = Callable[[Path], AbstractAsyncContextManager[Victim]]


@asynccontextmanager
async def on_sqlite(folder: Path) -> AsyncIterator[Victim]:
    """Open a file twice."""
    path = folder / "safeurl.db"
    other = SQLiteDatabase(path, synchronous="NORMAL", busy_timeout_s=5)
    async with _ready(SQLiteStore(path), other) as victim:
        yield victim


@asynccontextmanager
async def on_sqld(folder: Path) -> AsyncIterator[Victim]:
    """Open a server twice."""
    with Sqld(folder / "sqld") as server:
        url = f"http://{server.authority}"
        other = LibSQLDatabase(parse_address(url), auth_token=None, timeout_s=10)
        async with _ready(LibSQLStore(url), other) as victim:
            yield victim


@asynccontextmanager
async def _ready(store: Store, database: Database) -> AsyncIterator[Victim]:
    try:
        await store.migrate()
        victim = Victim(store, database)
        await victim.fill()
        yield victim
    finally:
        await database.close()
        await store.close()
