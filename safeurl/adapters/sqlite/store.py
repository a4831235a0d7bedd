"""`SQLiteStore`: the shared store over one SQLite file."""

import sqlite3
from pathlib import Path

from safeurl.adapters.sql.store import SQLStore
from safeurl.adapters.sqlite.database import SQLiteDatabase

#: SQLite's own look at pages, indexes and types; the first of what it finds tells enough.
_INTEGRITY = "PRAGMA integrity_check(20)"


class SQLiteStore(SQLStore):
    """Scans in one SQLite file that several processes of this host share.

    Nothing is opened before the first call, so an object made before a fork is good after it; it
    belongs to the event loop of that first call. Close it: its threads would keep Python alive.
    """

    def __init__(
        self, path: Path, *, synchronous: str = "NORMAL", patience_s: float = 10.0
    ) -> None:
        """Take SQLite's `synchronous`: FULL survives a power cut, NORMAL a crash of SafeURL."""
        # SQLite itself waits half of our patience, so that a lock is asked for at least twice.
        database = SQLiteDatabase(path, synchronous=synchronous, busy_timeout_s=patience_s / 2)
        super().__init__(database, patience_s=patience_s)

    async def content_faults(self) -> list[str]:
        """Ask SQLite for damage too: the file is in our care, while a server sees to its own."""
        try:
            found = [str(row["integrity_check"]) for row in await self._read(_INTEGRITY)]
        except sqlite3.OperationalError as error:
            # A CHECK constraint cannot be evaluated, because a value is no JSON.
            found = [str(error)]
        damage = [] if found == ["ok"] else [f"SQLite finds damage: {line}." for line in found]
        return [*damage, *await super().content_faults()]
