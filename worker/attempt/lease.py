"""Holding a scan while its sandbox runs: renew the lease, notice when the scan is taken away."""

import asyncio
import logging
import time
from datetime import timedelta

from safeurl.errors import UnavailableError
from safeurl.model.scan import Scan
from safeurl.ports.attempts import LeaseStore
from safeurl.ports.clock import Clock

_log = logging.getLogger("safeurl.lease")

#: How often the row is looked at: a scan that is cancelled ends within two seconds.
WATCH_S = 0.7


class LeaseHolder:
    """Keeps leases of one worker; how long it has held one is told by a clock that nobody sets."""

    def __init__(self, store: LeaseStore, *, lease: timedelta, clock: Clock) -> None:
        """Take the lease's length; it is renewed three times in it."""
        self._store = store
        self._lease = lease
        self._clock = clock

    async def hold(self, scan: Scan) -> None:
        """Return when the scan is no longer ours: taken back, cancelled, or not renewed in time."""
        lease_s = self._lease.total_seconds()
        renewed_s = time.monotonic()
        renew_at_s = renewed_s + lease_s / 3
        while time.monotonic() < renewed_s + lease_s:
            await asyncio.sleep(min(WATCH_S, lease_s / 3))
            asked_s = time.monotonic()
            try:
                # A database may hang for longer than the lease has left to run.
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
