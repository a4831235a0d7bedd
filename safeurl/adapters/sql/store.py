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
    """`Store` with any `Database`. Every batch may run twice without harm."""

    async def migrate(self) -> list[int]:
        """Create or migrate the schema; return the numbers of the applied migrations."""
        return await self._with_retries(lambda: migrate.migrate(self._database))

    async def ping(self) -> None:
        """Check the schema once, without a retry, because a ping is about the present moment."""
        await migrate.require_current(self._database)

    async def require_schema(self) -> None:
        """Check that all migrations are applied; retry while the database is busy."""
        await self._with_retries(lambda: migrate.require_current(self._database))

    async def close(self) -> None:
        """Close the database."""
        await self._database.close()
