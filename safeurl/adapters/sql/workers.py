"""`WorkerStore` over SQL; see the port for the contract."""

from datetime import datetime

from safeurl.adapters.sql import models
from safeurl.adapters.sql.base import SQLBase
from safeurl.adapters.sql.database import Statement
from safeurl.adapters.sql.rows import columns, readable, stamp
from safeurl.adapters.sql.statements import workers as statements
from safeurl.model.worker import WorkerHeartbeat


class SQLWorkers(SQLBase):
    """`WorkerStore`; see the port for the contract."""

    async def record_heartbeat(self, heartbeat: WorkerHeartbeat) -> None:
        """Insert the row or replace it."""
        await self._write([Statement.of(statements.RECORD_HEARTBEAT, columns(heartbeat))])

    async def remove_worker(self, worker_id: str) -> None:
        """Delete the row of a worker that ends."""
        await self._write([Statement(statements.REMOVE_WORKER, {"id": worker_id})])

    async def forget_workers(self, *, silent_since: datetime) -> None:
        """Delete the rows by the index of heartbeats, oldest first."""
        args = {"silent_since": stamp(silent_since)}
        await self._write([Statement(statements.FORGET_WORKERS, args)])

    async def workers(self, *, since: datetime) -> list[WorkerHeartbeat]:
        """Read the rows by the index of heartbeats, newest first."""
        rows = await self._read(statements.WORKERS, since=stamp(since))
        return readable(models.Worker, WorkerHeartbeat, rows)
