"""`MetricsReader` over SQL; the contract stands on the port."""

import json
from datetime import datetime, timedelta

from safeurl.adapters.sql import models
from safeurl.adapters.sql.base import SQLBase
from safeurl.adapters.sql.rows import parse, stamp
from safeurl.adapters.sql.statements import metrics as statements
from safeurl.model.scan import Metrics
from safeurl.state import INFRASTRUCTURE_OUTCOMES

#: Characters of a time up to its minute.
_MINUTE = 16


class SQLMetrics(SQLBase):
    """`MetricsReader`; the contract stands on the port."""

    async def metrics(self, *, now: datetime) -> Metrics:
        """Read the counts that triggers keep."""
        hour_ago = stamp(now - timedelta(hours=1))[:_MINUTE]
        broken = json.dumps(sorted(INFRASTRUCTURE_OUTCOMES))
        rows = await self._read(statements.METRICS, hour_ago=hour_ago, broken=broken)
        return parse(models.MetricsRow, Metrics, rows)[0]
