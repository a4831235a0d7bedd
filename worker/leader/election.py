"""The election of the leader, which rescues and seals for all hosts until its term runs out."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from safeurl.errors import StoreUnavailableError, UnavailableError
from safeurl.model.scan import LeaderTerm
from safeurl.ports.clock import CLOCK_SKEW, Clock
from safeurl.ports.leadership import Leadership
from worker.identity import has_ended

_log = logging.getLogger("safeurl.election")

#: A term lasts this part of a scan's lease. When a host and the leader are lost together, its scans
#: wait for their lease and then for the next leader: for two terms at most.
_LEASE_PART = 5
#: A shorter term would end whenever the database is busy.
_MIN_TERM = timedelta(seconds=3)
#: The time limit of one request. A store retries for ten seconds. The `now` of the request would be
#: that old, so the term of another leader would look too long, as after a clock was set back, and a
#: running leader would lose its term.
_REQUEST_S = CLOCK_SKEW.total_seconds() / 2
#: A leader that steps aside is a candidate again after this time. It is long enough for another
#: host to become leader, and short for the case that there is no other host.
_MAX_ASIDE = timedelta(seconds=10)


def leader_lease(lease: timedelta) -> timedelta:
    """Return how long a term lasts without being renewed, given the length of a scan's lease."""
    return max(_MIN_TERM, lease / _LEASE_PART)


class Candidate:
    """One host in the election; it leads only while it has renewed its term in time."""

    def __init__(  # noqa: PLR0913 - one keyword per part of an election
        self,
        store: Leadership,
        holder: str,
        *,
        lease: timedelta,
        clock: Clock,
        has_ended: Callable[[str], bool] = has_ended,
        monotonic: Callable[[], float] = time.monotonic,
        request_s: float = _REQUEST_S,
    ) -> None:
        """Take `holder`, a name that no other process ever has (`process_name`).

        `has_ended` returns True for the name of a process that is known to have ended.
        """
        self._store = store
        self._has_ended = has_ended
        self._holder = holder
        self._lease = lease
        self._clock = clock
        self._monotonic = monotonic
        self._request_s = request_s
        self._number = 0
        self._held_until_s = 0.0
        self._aside_until_s = 0.0

    @property
    def term(self) -> int | None:
        """The number of our term; None while another leads, or when ours may have run out."""
        return self._number if self._monotonic() < self._held_until_s else None

    async def stand(self) -> None:
        """Renew our term, or begin one if nobody leads; call it at least twice per lease."""
        asked_s = self._monotonic()
        if asked_s < self._aside_until_s:
            return
        now = self._clock()
        try:
            async with asyncio.timeout(self._request_s):
                newest = await self._store.lead(self._holder, now=now, until=now + self._lease)
                if newest.holder != self._holder and self._has_ended(newest.holder):
                    newest = await self._follow(newest.holder, now)
        except TimeoutError as error:
            raise StoreUnavailableError("The database is too slow for an election.") from error
        if newest.holder != self._holder:
            self._held_until_s = 0.0
            return
        if newest.term != self._number:
            _log.info("election.won term=%d", newest.term)
        self._number = newest.term
        self._held_until_s = asked_s + self._lease.total_seconds()

    async def _follow(self, ended_holder: str, now: datetime) -> LeaderTerm:
        """End the term of a leader whose process was killed on this host, and begin the next one.

        Children of that process may still run; what they write with the old term is refused.
        """
        _log.warning("election.leader_ended holder=%s", ended_holder)
        await self._store.resign(ended_holder, now=now)
        return await self._store.lead(self._holder, now=now, until=now + self._lease)

    async def step_aside(self) -> None:
        """Resign and let another host lead for some time; then be a candidate again."""
        if self.term is not None:
            aside = min(self._lease, _MAX_ASIDE)
            self._aside_until_s = self._monotonic() + aside.total_seconds()
            await self.resign()

    async def resign(self) -> None:
        """End our term, so that another host can lead at once; a lost database is only logged."""
        if self.term is None:
            return
        self._held_until_s = 0.0
        try:
            await self._store.resign(self._holder, now=self._clock())
        except UnavailableError as error:
            _log.warning("election.not_resigned error=%s", error)
