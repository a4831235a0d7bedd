"""Standing for election: who leads rescues and seals for all hosts, until its lease runs out."""

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

#: A scan whose host went waits for its lease and then, where the leader went too, for the next one:
#: twice this part of it at most.
_PART = 5
_SHORTEST = timedelta(seconds=3)
#: A store tries for ten seconds. To the rule for clocks that were set back, what it then asks by an
#: old `now` looks as if another's term ended too far ahead: a living leader would be deposed.
_PATIENCE_S = CLOCK_SKEW.total_seconds() / 2
#: Long enough for any host to follow. The one we step aside for may have gone without a word.
_ASIDE_AT_MOST = timedelta(seconds=10)


def leader_lease(lease: timedelta) -> timedelta:
    """Return how long a term holds without being renewed, from the length of a scan's lease."""
    return max(_SHORTEST, lease / _PART)


class Candidate:
    """One host's claim to lead; believes in its own term only while it was renewed in time."""

    def __init__(
        self,
        store: Leadership,
        holder: str,
        *,
        lease: timedelta,
        clock: Clock,
        has_ended: Callable[[str], bool] = has_ended,
    ) -> None:
        """Take a name that no other process has, ever, and who tells which of such have ended."""
        self._store = store
        self._has_ended = has_ended
        self._holder = holder
        self._lease = lease
        self._clock = clock
        self._number = 0
        self._held_until_s = 0.0
        self._aside_until_s = 0.0

    @property
    def term(self) -> int | None:
        """The number of our term, None while another leads or ours may have run out."""
        return self._number if time.monotonic() < self._held_until_s else None

    async def stand(self) -> None:
        """Renew our term, or begin one where there is none; to be called twice per lease."""
        asked_s = time.monotonic()
        if asked_s < self._aside_until_s:
            return
        now = self._clock()
        try:
            async with asyncio.timeout(_PATIENCE_S):
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

    async def _follow(self, ended: str, now: datetime) -> LeaderTerm:
        """Resign for a leader whose process was killed here, and begin the next term.

        What a part of it that still runs would write by the old term is refused.
        """
        _log.warning("election.leader_ended holder=%s", ended)
        await self._store.resign(ended, now=now)
        return await self._store.lead(self._holder, now=now, until=now + self._lease)

    async def step_aside(self) -> None:
        """Let another lead who can do what we cannot; where nobody does, stand again."""
        if self.term is not None:
            aside = min(self._lease, _ASIDE_AT_MOST)
            self._aside_until_s = time.monotonic() + aside.total_seconds()
            await self.resign()

    async def resign(self) -> None:
        """Let the next one begin at once, as far as the database can be told."""
        if self.term is None:
            return
        self._held_until_s = 0.0
        try:
            await self._store.resign(self._holder, now=self._clock())
        except UnavailableError as error:
            _log.warning("election.not_resigned error=%s", error)
