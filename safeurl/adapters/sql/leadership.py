"""Leaders over SQL: a term is a row, and its number fences what is written in its name."""

from datetime import datetime

from safeurl.adapters.sql import models
from safeurl.adapters.sql.base import SQLBase
from safeurl.adapters.sql.database import Statement
from safeurl.adapters.sql.rows import parse, stamp
from safeurl.adapters.sql.statements import leadership as statements
from safeurl.model.scan import LeaderTerm
from safeurl.ports.clock import CLOCK_SKEW


class SQLLeadership(SQLBase):
    """`Leadership`; the contract stands on the port."""

    async def lead(self, holder: str, *, now: datetime, until: datetime) -> LeaderTerm:
        """Renew, else begin, and read the newest term, in one batch."""
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
        """Shorten the newest term, if it is ours."""
        args = {"holder": holder, "now": stamp(now)}
        await self._write([Statement.of(statements.RESIGN, args)])
