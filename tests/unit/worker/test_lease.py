"""A lease is renewed in time, and a worker that cannot renew it stops before others start.

The clocks of the test advance when the holder sleeps, or when the store is slow.
"""

import asyncio
from datetime import datetime, timedelta
from itertools import pairwise
from math import inf

import pytest

from safeurl.adapters.memory.store import MemoryStore
from safeurl.errors import StoreUnavailableError
from safeurl.model.scan import Scan
from safeurl.state import Outcome, State
from tests.support.builders import LEASE, NOW, brought_to, make_ending
from worker.attempt.lease import WATCH_S, LeaseHolder

_LEASE_S = LEASE.total_seconds()


class _Time:
    """A clock that advances only during a wait."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def sleep(self, seconds: float) -> None:
        """Advance the time, with a limit."""
        self.seconds += seconds
        assert self.seconds < 100 * _LEASE_S

    def monotonic(self) -> float:
        """Count from a moment that means nothing."""
        return 1000.0 + self.seconds

    def now(self) -> datetime:
        """Return the time of day."""
        return NOW + timedelta(seconds=self.seconds)


@pytest.fixture
def time() -> _Time:
    """Return the clocks of the holder."""
    return _Time()


class _Store(MemoryStore):
    """Remembers when a lease was renewed, may be slow at it, and may be away."""

    def __init__(self, time: _Time, *away: tuple[float, float], takes_s: float = 0.0) -> None:
        super().__init__()
        self.time = time
        self.away = away
        self.takes_s = takes_s
        self.renewed: list[tuple[float, datetime]] = []

    async def get(self, scan_id: str) -> Scan | None:
        """Look it up, unless away."""
        self._answer()
        return await super().get(scan_id)

    async def renew_lease(self, scan: Scan, *, lease_until: datetime) -> bool:
        """Renew it, unless away."""
        self._answer()
        self.renewed.append((self.time.seconds, lease_until))
        self.time.seconds += self.takes_s
        return await super().renew_lease(scan, lease_until=lease_until)

    def _answer(self) -> None:
        if any(start <= self.time.seconds < end for start, end in self.away):
            raise StoreUnavailableError("It is away.")


def _holder(store: _Store) -> LeaseHolder:
    """Return a holder by the clocks of the store."""
    time = store.time
    return LeaseHolder(
        store, lease=LEASE, clock=time.now, monotonic=time.monotonic, sleep=time.sleep
    )


async def _hold(store: _Store) -> float:
    """Hold a scan until it is lost, and return the time of the loss."""
    scan = await brought_to(store, State.FETCHING)
    await _holder(store).hold(scan)
    return store.time.seconds


async def test_a_lease_is_renewed_three_times_in_its_length(time: _Time) -> None:
    """Two renewals may fail; each is valid for a complete lease from its own moment."""
    store = _Store(time, (10 * _LEASE_S, inf))
    assert (await _hold(store)) >= 10 * _LEASE_S
    moments = [0.0, *(seconds for seconds, _ in store.renewed)]
    pauses = [after - before for before, after in pairwise(moments)]
    assert _LEASE_S / 3 <= min(pauses) <= max(pauses) <= _LEASE_S / 3 + WATCH_S
    for seconds, until in store.renewed:
        assert until == NOW + timedelta(seconds=seconds) + LEASE


async def test_a_short_absence_of_the_database_loses_no_scan(time: _Time) -> None:
    """A failed request does not count as a loss while the lease is valid."""
    store = _Store(time, (5.0, _LEASE_S - 2 * WATCH_S), (2 * _LEASE_S, inf))
    assert (await _hold(store)) >= 2 * _LEASE_S


@pytest.mark.parametrize("takes_s", [0.0, 8.0])
async def test_a_worker_that_cannot_renew_gives_up_when_its_lease_is_out(
    time: _Time, takes_s: float
) -> None:
    """A later stop would let two workers run the scan: a lease counts from its request."""
    store = _Store(time, (_LEASE_S / 3 + WATCH_S + takes_s, inf), takes_s=takes_s)
    ended_s = await _hold(store)
    [(asked_s, _)] = store.renewed
    assert asked_s + _LEASE_S <= ended_s <= asked_s + _LEASE_S + WATCH_S


async def test_a_scan_that_is_taken_away_is_let_go_within_two_seconds(time: _Time) -> None:
    """So soon after it was cancelled nothing of it may run, long before the next renewal."""
    store = _Store(time)
    scan = await brought_to(store, State.FETCHING)
    ending = make_ending(scan, Outcome.CANCELLED)
    await store.finish(scan, ending, now=NOW, actor="cli")
    await _holder(store).hold(scan)
    assert time.seconds < 2


async def test_a_database_that_hangs_is_not_waited_for_past_the_lease() -> None:
    """Its request is repeated for ten seconds, but others may take the scan meanwhile."""

    class Hanging(MemoryStore):
        async def renew_lease(self, scan: Scan, *, lease_until: datetime) -> bool:
            await asyncio.Event().wait()
            return await super().renew_lease(scan, lease_until=lease_until)

    store = Hanging()
    scan = await brought_to(store, State.FETCHING)
    holder = LeaseHolder(store, lease=timedelta(seconds=0.3), clock=lambda: NOW)
    async with asyncio.timeout(5):
        await holder.hold(scan)
