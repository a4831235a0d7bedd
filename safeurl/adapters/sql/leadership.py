"""`Leadership` over SQL: each term is a row, and its number guards the leader's writes."""

from datetime import datetime

from safeurl.adapters.sql import models
from safeurl.adapters.sql.base import SQLBase
from safeurl.adapters.sql.database import Statement
from safeurl.adapters.sql.rows import parse, stamp
from safeurl.adapters.sql.statements import leadership as statements
from safeurl.model.scan import LeaderTerm
from safeurl.ports.clock import CLOCK_SKEW


class SQLLeadership(SQLBase):
    """`Leadership`; see the port for the contract."""

    async def lead(self, holder: str, *, now: datetime, until: datetime) -> LeaderTerm:
        """Renew the term or begin a new one, and read the newest, in one batch."""
        args = {
            "holder": holder,
            "now": stamp(now),
            "until": stamp(until),
            "skewed": stamp(until + CLOCK_SKEW),
        }
        batch = (statements.LEAD_ON, statements.LEAD, statements.NEWEST_TERM)
        answers = await self._write([Statement.of(sql, args) for sql in batch])
        return parse(models.LeaderTerm, LeaderTerm, answers[-1])[0]

    async def resign(self, holder: str, *, now: datetime) -> None:
        """End the newest term now if the holder has it."""
        args = {"holder": holder, "now": stamp(now)}
        await self._write([Statement.of(statements.RESIGN, args)])
