"""Holding a scan while its sandbox runs: the lease is renewed, and its loss is noticed."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

from safeurl.errors import UnavailableError
from safeurl.model.scan import Scan
from safeurl.ports.attempts import LeaseStore
from safeurl.ports.clock import Clock

_log = logging.getLogger("safeurl.lease")

#: How often the row is read, so that a scan that is cancelled ends within two seconds.
WATCH_S = 0.7


class LeaseHolder:
    """Keeps the leases of one worker; the length of a lease is measured by a monotonic clock."""

    def __init__(
        self,
        store: LeaseStore,
        *,
        lease: timedelta,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Take the length of a lease; each is renewed three times in this time."""
        self._store = store
        self._lease = lease
        self._clock = clock
        self._monotonic = monotonic
        self._sleep = sleep

    async def hold(self, scan: Scan) -> None:
        """Return when the scan was taken back or cancelled, or its lease could not be renewed."""
        lease_s = self._lease.total_seconds()
        renewed_s = self._monotonic()
        renew_at_s = renewed_s + lease_s / 3
        while self._monotonic() < renewed_s + lease_s:
            await self._sleep(min(WATCH_S, lease_s / 3))
            asked_s = self._monotonic()
            try:
                # A request to the database may take longer than the rest of the lease.
                async with asyncio.timeout(renewed_s + lease_s - asked_s):
                    if asked_s >= renew_at_s:
                        ours = await self._renew(scan)
                        renewed_s, renew_at_s = asked_s, asked_s + lease_s / 3
                    else:
                        ours = await self._is_ours(scan)
            except (UnavailableError, TimeoutError) as error:
                _log.warning("lease.unknown scan=%s error=%r", scan.id, str(error))
                continue
            if not ours:
                break
        _log.warning("lease.lost scan=%s attempt=%d", scan.id, scan.attempt)

    async def _renew(self, scan: Scan) -> bool:
        return await self._store.renew_lease(scan, lease_until=self._clock() + self._lease)

    async def _is_ours(self, scan: Scan) -> bool:
        found = await self._store.get(scan.id)
        return found is not None and found.version == scan.version
