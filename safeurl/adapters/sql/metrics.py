"""`MetricsReader` over SQL; see the port for the contract."""

import json
from datetime import datetime, timedelta

from safeurl.adapters.sql import models
from safeurl.adapters.sql.base import SQLBase
from safeurl.adapters.sql.rows import parse, stamp
from safeurl.adapters.sql.statements import metrics as statements
from safeurl.model.scan import Metrics
from safeurl.state import INFRASTRUCTURE_OUTCOMES

#: The length of a time's text up to the minute.
_MINUTE = 16


class SQLMetrics(SQLBase):
    """`MetricsReader`; see the port for the contract."""

    async def metrics(self, *, now: datetime) -> Metrics:
        """Read the counts that triggers maintain."""
        hour_ago = stamp(now - timedelta(hours=1))[:_MINUTE]
        broken = json.dumps(sorted(INFRASTRUCTURE_OUTCOMES))
        rows = await self._read(statements.METRICS, hour_ago=hour_ago, broken=broken)
        return parse(models.MetricsRow, Metrics, rows)[0]
