"""Reads the database every second: the number of open scans, and the idle ones."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from safeurl.adapters.redis.queue import RQQueue
from safeurl.errors import QueueUnavailableError
from tests.chaos.fleet import Fleet
from tests.chaos.record import Row, time_of

_PERIOD_S = 1.0
#: More wake-ups than a run ever has.
_ALL = 100_000
_OPEN = (
    "SELECT id, version, state, lease_owner, lease_until, run_after, updated_at FROM scan_jobs "
    "WHERE finished_at IS NULL"
)


class Sampler:
    """Records the longest time of a scan without an owner.

    A scan has no owner if its lease has expired, or if it is due and has no wake-up. `worst_s` is
    this time in total; `worst_calm_s` counts only after the last fault of the database, the queue
    or a leader, because a worker can come only then.
    """

    def __init__(self, fleet: Fleet, queue: RQQueue, shaken_at: Callable[[], datetime]) -> None:
        """Store the database, and the time of the last fault of a leader or its parts."""
        self._fleet = fleet
        self._queue = queue
        self._shaken_at = shaken_at
        self._unwoken_since: dict[tuple[str, int], datetime] = {}
        self.open = 0
        #: How often the database has said how many are open.
        self.looks = 0
        self.worst_s = 0.0
        self.worst_calm_s = 0.0
        self.worst_calm = ""
        self.samples = 0

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            with contextlib.suppress(OSError, QueueUnavailableError):
                await self._look()
            await asyncio.sleep(_PERIOD_S)

    async def _look(self) -> None:
        """Look once."""
        rows = await asyncio.to_thread(self._fleet.record.rows, _OPEN)
        self.open = len(rows)
        self.looks += 1
        woken = (await self._queue.waiting(limit=_ALL)).scan_ids
        now = datetime.now(UTC)
        if not await asyncio.to_thread(self._fleet.has_maintenance):
            return
        self.samples += 1
        calm_since = self._shaken_at()
        unwoken: dict[tuple[str, int], datetime] = {}
        for row in rows:
            since = self._idle_since(row, woken, now)
            if since is None:
                continue
            if row["lease_until"] is None:
                unwoken[row["id"], row["version"]] = since
            self._judge(row, now - since, now - max(since, calm_since))
        self._unwoken_since = unwoken

    def _idle_since(self, row: Row, woken: frozenset[str], now: datetime) -> datetime | None:
        if row["lease_until"] is not None:
            until = time_of(row["lease_until"])
            return until if until < now else None
        due = max(time_of(row["run_after"]), time_of(row["updated_at"]))
        if due > now or row["id"] in woken:
            return None
        # Its wake-up may have been taken off the queue this moment.
        return self._unwoken_since.get((row["id"], row["version"]), now)

    def _judge(self, row: Row, idle: timedelta, calm: timedelta) -> None:
        self.worst_s = max(self.worst_s, idle.total_seconds())
        if calm.total_seconds() > self.worst_calm_s:
            self.worst_calm_s = calm.total_seconds()
            self.worst_calm = f"{row['id']} {row['state']} of {row['lease_owner']}"
