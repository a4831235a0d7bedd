"""`SQLiteStore`: the shared store over one SQLite file."""

import sqlite3
from pathlib import Path

from safeurl.adapters.sql.store import SQLStore
from safeurl.adapters.sqlite.database import SQLiteDatabase

#: SQLite's own check of pages, indexes and types; its first findings are enough.
_INTEGRITY = "PRAGMA integrity_check(20)"


class SQLiteStore(SQLStore):
    """Stores scans in one SQLite file, which several processes of this host share.

    Nothing is opened before the first call, so an object that was made before a fork can be used
    after it. The store belongs to the event loop of its first call. It must be closed, because its
    threads would keep the process running.
    """

    def __init__(
        self, path: Path, *, synchronous: str = "NORMAL", retry_for_s: float = 10.0
    ) -> None:
        """Store the file and SQLite's `synchronous` mode.

        FULL keeps all data after a power failure, NORMAL only after a crash of SafeURL.
        """
        # SQLite itself waits half of this time for a lock, so that there are at least two tries.
        database = SQLiteDatabase(path, synchronous=synchronous, busy_timeout_s=retry_for_s / 2)
        super().__init__(database, retry_for_s=retry_for_s)

    async def content_faults(self) -> list[str]:
        """Return SQLite's findings too: we are responsible for this file, unlike for a server's."""
        try:
            found = [str(row["integrity_check"]) for row in await self._read(_INTEGRITY)]
        except sqlite3.OperationalError as error:
            # A CHECK constraint cannot be evaluated, because a value is not JSON.
            found = [str(error)]
        damage = [] if found == ["ok"] else [f"SQLite finds damage: {line}." for line in found]
        return [*damage, *await super().content_faults()]
