"""The rescuer: gives every scan that nobody will touch another chance.

A scan is lost when its lease ran out, or when the process that held it is known to have ended on
this host. It goes back to QUEUED at once or, past the retries, to FAILED; what was analysed and
not recorded is concluded from what is stored. QUEUED rows without a wake-up are pushed again
(Redis was down, flushed, or lost the message). Every write is guarded, and those of the elected
rescuer are fenced by its term besides, so a sweep is safe to run on any number of hosts at once.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from safeurl.errors import (
    QueueUnavailableError,
    RowRefusedError,
    SandboxUnavailableError,
    StoreBusyError,
    StoreFullError,
    StoreUnavailableError,
)
from safeurl.model.scan import Scan
from safeurl.ports.attempts import AttemptReader
from safeurl.ports.backlog import Backlog
from safeurl.ports.clock import CLOCK_SKEW, Clock
from safeurl.ports.queue import Waiting, WakeQueue
from safeurl.retry import failures, retry_delay
from safeurl.services.conclusion import final_without_page
from safeurl.state import OUTCOME_MESSAGES, Outcome, State
from worker.attempt.resume import ResumeStore, conclude_stored
from worker.identity import has_ended

_log = logging.getLogger("safeurl.rescuer")

#: A wake-up may be on its way this long before we call it lost, and must be missed twice.
PUSH_GRACE = timedelta(seconds=1)
#: Rows looked at per sweep; the rest comes with the next one.
SWEEP_LIMIT = 1000
#: As many are looked at while most of those have a wake-up, however many wait behind them.
LOOK_LIMIT = 50
#: Wake-ups looked at for each of those rows.
QUEUE_FACTOR = 4

#: Removes the container of a scan's attempt, if there is one here.
Reap = Callable[[str, int], Awaitable[bool]]


class RescuerStore(Backlog, ResumeStore, AttemptReader, Protocol):
    """What a sweep uses of the database."""


class Rescuer:
    """Sweeps the store; `actor` names this process in the audit trail."""

    def __init__(  # noqa: PLR0913 - the parts a sweep touches, each handed in
        self,
        store: RescuerStore,
        queue: WakeQueue,
        *,
        clock: Clock,
        actor: str,
        lease: timedelta,
        max_retries: int,
        reap: Reap,
        has_ended: Callable[[str | None], bool] = has_ended,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        """Wire the parts; `reap` removes the container that a lost attempt left on this host."""
        self._store = store
        self._queue = queue
        self._clock = clock
        self._actor = actor
        self._max_retries = max_retries
        self._reap = reap
        self._has_ended = has_ended
        self._watch = _LeaseWatch(lease, ticks)
        #: Taken back from processes that ended on this host, whose containers may still run.
        self._orphans: list[Scan] = []
        #: Due at the last sweep with no wake-up. A worker may just have taken that, and claim.
        self._unwoken: frozenset[str] = frozenset()
        #: What was judged here, by id and version, and could not be recorded yet.
        self._judged: set[tuple[str, int]] = set()
        #: Scans whose rows could not be read in this sweep, and in the last one.
        self._unreadable: list[str] = []
        self._told: frozenset[str] = frozenset()

    async def sweep(self, term: int | None) -> tuple[int, int]:
        """Take back what is lost, push what is forgotten; return how many of each.

        Without a `term`, which the leader has, only what was lost on this host is taken back.
        """
        self._unreadable.clear()
        rescued = await self._take_back(term)
        pushed = 0 if term is None else await self._push_again()
        self._tell_unreadable()
        return rescued, pushed

    def _tell_unreadable(self) -> None:
        """Log each scan that was passed over, once for as long as it is."""
        seen = frozenset(self._unreadable)
        for scan_id in sorted(seen - self._told):
            _log.error("rescuer.unreadable scan=%s", scan_id)
        self._told = seen

    async def reap(self) -> None:
        """Remove the containers of scans that were taken back on this host.

        Apart from the sweep, which a Docker that does not answer must not hold up.
        """
        orphans, self._orphans = self._orphans, []
        for scan in orphans:
            try:
                await self._reap(scan.id, scan.attempt)
            except SandboxUnavailableError as error:
                # These and the rest are the reaper's, once Docker is back.
                _log.warning("rescuer.not_reaped count=%d error=%s", len(orphans), error)
                return

    async def _push_again(self) -> int:
        due, waiting = await self._front(LOOK_LIMIT)
        if 2 * len(self._without_wake_up(due, waiting)) > LOOK_LIMIT:
            # Much was lost, as when Redis was flushed.
            due, waiting = await self._front(SWEEP_LIMIT)
        unwoken = self._without_wake_up(due, waiting)
        forgotten = [scan for scan in unwoken if scan.id in self._unwoken]
        self._unwoken = frozenset(scan.id for scan in unwoken) - {scan.id for scan in forgotten}
        overtaken = _overtaken(due, waiting)
        await self._queue.push([scan.id for scan in forgotten if scan.id not in overtaken])
        await self._queue.push([scan.id for scan in forgotten if scan.id in overtaken], first=True)
        if forgotten:
            _log.info("rescuer.pushed count=%d", len(forgotten))
        return len(forgotten)

    async def _front(self, limit: int) -> tuple[list[Scan], Waiting]:
        """Return whose turn is next, and the front of the queue.

        Both are in the same order but for what was tried before, what several hosts pushed at one
        time, and jobs that are stale: the front of the queue is looked at further.
        """
        before = self._clock() - PUSH_GRACE
        due = await self._store.due(now=before, limit=limit, on_unreadable=self._unreadable.append)
        return due, await self._queue.waiting(limit=QUEUE_FACTOR * limit) if due else Waiting()

    @staticmethod
    def _without_wake_up(due: Sequence[Scan], waiting: Waiting) -> list[Scan]:
        return [scan for scan in due if scan.id not in waiting.scan_ids]

    async def _take_back(self, term: int | None) -> int:
        # One moment for the whole sweep, before the look: what takes long ends no lease.
        taken: list[Scan] = []
        now = self._clock()
        leased = await self._store.leased(limit=SWEEP_LIMIT, on_unreadable=self._unreadable.append)
        self._forget_others(leased)
        for scan in leased:
            if is_orphan := self._has_ended(scan.lease_owner):
                moved = await self._tried(scan, None)
            elif term is not None and self._watch.has_run_out(scan, now):
                moved = await self._tried(scan, term)
            else:
                continue
            if moved is not None:
                taken.append(moved)
                self._orphans += [scan] * is_orphan
        await self._wake([scan.id for scan in taken if scan.state is State.QUEUED])
        return len(taken)

    def _forget_others(self, leased: Sequence[Scan]) -> None:
        """Keep in memory only what is about scans that are still at work."""
        self._watch.forget_others(leased)
        self._judged.intersection_update((scan.id, scan.version) for scan in leased)

    async def _tried(self, scan: Scan, term: int | None) -> Scan | None:
        try:
            return await self._take_back_one(scan, term)
        except (StoreBusyError, StoreFullError):
            # Not this scan's fault: the others would fare no better.
            raise
        except (StoreUnavailableError, RowRefusedError) as error:
            # Its rows cannot be read or written, by this version at least; the others' can.
            _log.error("rescuer.not_rescued scan=%s error=%s", scan.id, error)
            return None

    async def _wake(self, scan_ids: Sequence[str]) -> None:
        if not scan_ids:
            return
        try:
            await self._queue.push(scan_ids, first=True)
        except QueueUnavailableError as error:
            # They are due: the other half of the sweep pushes them once Redis is back.
            _log.warning("rescuer.not_pushed count=%d error=%s", len(scan_ids), error)

    async def _take_back_one(self, scan: Scan, term: int | None) -> Scan | None:
        actor = self._actor if term is None else f"{self._actor} term {term}"
        _log.warning(
            "rescuer.lost scan=%s attempt=%d owner=%s", scan.id, scan.attempt, scan.lease_owner
        )
        if scan.state is State.ANALYZING:
            ending = await conclude_stored(
                self._store,
                scan,
                clock=self._clock,
                actor=actor,
                term=term,
                outlived=self._judged,
            )
            if ending is not None:
                ended = await self._store.finish(
                    scan, ending, now=self._clock(), actor=actor, term=term
                )
                self._judged.discard((scan.id, scan.version))
                return ended
        return await self._retry(scan, actor, term)

    async def _retry(self, scan: Scan, actor: str, term: int | None) -> Scan | None:
        outcome, now = Outcome.LEASE_LOST, self._clock()
        detail = f"The worker {scan.lease_owner} was lost."
        failed = failures(await self._store.attempts(scan.id)) + 1
        delay = retry_delay(outcome, failed, self._max_retries)
        if delay is None:
            said = f"{OUTCOME_MESSAGES[outcome]} {detail}"
            ending = final_without_page(scan, outcome, detail=said, now=now)
            return await self._store.finish(scan, ending, now=now, actor=actor, term=term)
        return await self._store.requeue(
            scan,
            outcome=outcome,
            detail=detail,
            run_after=now + delay,
            now=now,
            actor=actor,
            term=term,
        )


def _overtaken(due: Sequence[Scan], waiting: Waiting) -> set[str]:
    """Return who was tried before or stands before one that waits, and has had their turn so.

    `due` comes in the order of turns. Where more is on the queue than was looked at, that is
    everyone: a wake-up at its end would come too late, and would not be found by the next sweep.
    """
    if not waiting.is_all:
        return {scan.id for scan in due}
    last = max((turn for turn, scan in enumerate(due) if scan.id in waiting.scan_ids), default=0)
    return {scan.id for scan in due[:last]} | {scan.id for scan in due if scan.attempt}


class _LeaseWatch:
    """Tells which leases have run out, also when the clock was set back after they were given."""

    def __init__(self, lease: timedelta, ticks: Callable[[], float]) -> None:
        self._lease = lease
        self._ticks = ticks
        #: Leases that end later than any could that was given now, and since when we know them.
        self._doubtful: dict[str, tuple[datetime, float]] = {}

    def forget_others(self, leased: Sequence[Scan]) -> None:
        ids = {scan.id for scan in leased}
        self._doubtful = {key: kept for key, kept in self._doubtful.items() if key in ids}

    def has_run_out(self, scan: Scan, now: datetime) -> bool:
        until = scan.lease_until or now
        if until <= now + self._lease + CLOCK_SKEW:
            self._doubtful.pop(scan.id, None)
            return until <= now
        # A living worker renews it within its term, by the clock as it is now.
        known_until, since_s = self._doubtful.setdefault(scan.id, (until, self._ticks()))
        if known_until != until:
            self._doubtful[scan.id] = (until, self._ticks())
            return False
        return self._ticks() - since_s >= self._lease.total_seconds()
