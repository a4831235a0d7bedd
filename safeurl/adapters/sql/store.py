"""`SQLStore`: all parts of the store over one `Database`."""

from safeurl.adapters.sql.attempts import SQLAttempts
from safeurl.adapters.sql.audit import SQLAuditTrail, SQLLedger
from safeurl.adapters.sql.backlog import SQLBacklog
from safeurl.adapters.sql.leadership import SQLLeadership
from safeurl.adapters.sql.metrics import SQLMetrics
from safeurl.adapters.sql.scans import SQLScans
from safeurl.adapters.sql.schema import migrate
from safeurl.adapters.sql.view import SQLViews
from safeurl.adapters.sql.workers import SQLWorkers


class SQLStore(
    SQLScans,
    SQLViews,
    SQLAttempts,
    SQLBacklog,
    SQLWorkers,
    SQLMetrics,
    SQLAuditTrail,
    SQLLedger,
    SQLLeadership,
):
    """`Store` over any `Database`; every batch that it sends may be repeated."""

    async def migrate(self) -> list[int]:
        """Make or migrate the schema."""
        return await self._patiently(lambda: migrate.migrate(self._database))

    async def ping(self) -> None:
        """Ask once, without patience: who pings wants to know about now."""
        await migrate.require_current(self._database)

    async def require_schema(self) -> None:
        """Ask for its migrations."""
        await self._patiently(lambda: migrate.require_current(self._database))

    async def close(self) -> None:
        """Close the database."""
        await self._database.close()
