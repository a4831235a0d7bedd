"""The rescuer: takes back lost scans, and sends lost wake-ups again.

A scan is lost when its lease has run out, or when the process that held it is known to have ended
on this host. It goes back to QUEUED, or to FAILED when its retries are used up. A scan that was
being analysed is concluded from its stored evidence. A QUEUED scan without a wake-up gets another
one: Redis was down, was flushed, or lost it. Every write is guarded, and the leader's writes are
also fenced by its term, so any number of hosts may sweep at once.
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
from safeurl.model.outcome_messages import OUTCOME_MESSAGES
from safeurl.model.scan import Scan
from safeurl.ports.attempts import AttemptReader
from safeurl.ports.backlog import Backlog
from safeurl.ports.clock import CLOCK_SKEW, Clock
from safeurl.ports.queue import Waiting, WakeQueue
from safeurl.retry import failures, retry_delay
from safeurl.services.conclusion import final_without_page
from safeurl.state import Outcome, State
from worker.attempt.resume import ResumeStore, conclude_stored
from worker.identity import has_ended

_log = logging.getLogger("safeurl.rescuer")

#: A wake-up may take this long to arrive. It counts as lost when two sweeps did not find it.
PUSH_GRACE = timedelta(seconds=1)
#: Rows that a sweep reads at most; the next sweep reads the rest.
SWEEP_LIMIT = 1000
#: Due rows that a sweep reads while most of them have a wake-up, however many scans wait.
LOOK_LIMIT = 50
#: Wake-ups that are read per due row.
QUEUE_FACTOR = 4

#: Scans whose containers are still to be removed, at most, while Docker does not answer.
_MAX_ORPHANS = 1000

#: Removes the container of a scan's attempt, if there is one here.
Reap = Callable[[str, int], Awaitable[bool]]


class RescuerStore(Backlog, ResumeStore, AttemptReader, Protocol):
    """The parts of the database that a sweep needs."""


class Rescuer:
    """Sweeps the store; `actor` is the name of this process in the audit trail."""

    def __init__(  # noqa: PLR0913 - one keyword per part of a sweep
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
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the parts; `reap` removes the container of a lost attempt from this host."""
        self._store = store
        self._queue = queue
        self._clock = clock
        self._actor = actor
        self._max_retries = max_retries
        self._reap = reap
        self._has_ended = has_ended
        self._lease_watch = _LeaseWatch(lease, monotonic)
        #: Scans of processes that ended on this host, whose containers may still run.
        self._orphans: list[Scan] = []
        #: Scans that were due without a wake-up at the last sweep. A worker may have taken the
        #: wake-up and be about to claim the scan.
        self._without_wake_up: frozenset[str] = frozenset()
        #: Scans that were judged here and not recorded yet, by id and version.
        self._judged: set[tuple[str, int]] = set()
        #: Scans whose rows could not be read in this sweep, and those that were already logged.
        self._unreadable: list[str] = []
        self._logged_unreadable: frozenset[str] = frozenset()

    async def sweep(self, term: int | None) -> tuple[int, int]:
        """Take back lost scans and send lost wake-ups; return how many of each.

        Without a `term`, which only the leader has, only scans lost on this host are taken back.
        """
        self._unreadable.clear()
        rescued = await self._take_back(term)
        pushed = 0 if term is None else await self._push_again()
        self._log_unreadable()
        return rescued, pushed

    def _log_unreadable(self) -> None:
        """Log each scan that cannot be read, once for as long as that lasts."""
        unreadable = frozenset(self._unreadable)
        for scan_id in sorted(unreadable - self._logged_unreadable):
            _log.error("rescuer.unreadable scan=%s", scan_id)
        self._logged_unreadable = unreadable

    async def reap(self) -> None:
        """Remove the containers of scans that were taken back on this host.

        It is separate from the sweep, which must not wait for a Docker that does not answer.
        """
        while self._orphans:
            scan = self._orphans[0]
            try:
                await self._reap(scan.id, scan.attempt)
            except SandboxUnavailableError as error:
                _log.warning("rescuer.not_reaped count=%d error=%s", len(self._orphans), error)
                # The next run begins with another one. The reaper finds them all, too.
                self._orphans.remove(scan)
                self._orphans = [*self._orphans, scan][-_MAX_ORPHANS:]
                return
            # Not before: the next run goes on where a cancelled one stopped.
            self._orphans.remove(scan)

    async def _push_again(self) -> int:
        due, waiting = await self._front(LOOK_LIMIT)
        if 2 * len(_not_woken(due, waiting)) > LOOK_LIMIT:
            # Many wake-ups were lost, as when Redis was flushed.
            due, waiting = await self._front(SWEEP_LIMIT)
        not_woken = _not_woken(due, waiting)
        lost = [scan for scan in not_woken if scan.id in self._without_wake_up]
        lost_ids = {scan.id for scan in lost}
        self._without_wake_up = frozenset(scan.id for scan in not_woken) - lost_ids
        overtaken = _overtaken(due, waiting)
        await self._queue.push([scan.id for scan in lost if scan.id not in overtaken])
        await self._queue.push([scan.id for scan in lost if scan.id in overtaken], first=True)
        if lost:
            _log.info("rescuer.pushed count=%d", len(lost))
        return len(lost)

    async def _front(self, limit: int) -> tuple[list[Scan], Waiting]:
        """Return the scans that are due next, and the front of the queue.

        Both have the same order, with exceptions: scans that were tried before, wake-ups that
        several hosts pushed at one time, and stale wake-ups. So more of the queue is read.
        """
        before = self._clock() - PUSH_GRACE
        due = await self._store.due(now=before, limit=limit, on_unreadable=self._unreadable.append)
        return due, await self._queue.waiting(limit=QUEUE_FACTOR * limit) if due else Waiting()

    async def _take_back(self, term: int | None) -> int:
        # One time for the whole sweep, taken before the read, so that a slow sweep ends no lease.
        taken: list[Scan] = []
        now = self._clock()
        leased = await self._store.leased(limit=SWEEP_LIMIT, on_unreadable=self._unreadable.append)
        self._keep_only(leased)
        for scan in leased:
            if is_orphan := self._has_ended(scan.lease_owner):
                moved = await self._take_back_if_possible(scan, None)
            elif term is not None and self._lease_watch.has_run_out(scan, now):
                moved = await self._take_back_if_possible(scan, term)
            else:
                continue
            if moved is not None:
                taken.append(moved)
                self._orphans += [scan] * is_orphan
        await self._wake([scan.id for scan in taken if scan.state is State.QUEUED])
        return len(taken)

    def _keep_only(self, leased: Sequence[Scan]) -> None:
        """Forget the stored facts about scans that are not in this list."""
        self._lease_watch.keep_only(leased)
        self._judged.intersection_update((scan.id, scan.version) for scan in leased)

    async def _take_back_if_possible(self, scan: Scan, term: int | None) -> Scan | None:
        try:
            return await self._take_back_one(scan, term)
        except (StoreBusyError, StoreFullError):
            # The scan is not at fault: all others would fail too.
            raise
        except (StoreUnavailableError, RowRefusedError) as error:
            # Its rows cannot be read or written, at least by this version; those of others can.
            _log.error("rescuer.not_rescued scan=%s error=%s", scan.id, error)
            return None

    async def _wake(self, scan_ids: Sequence[str]) -> None:
        if not scan_ids:
            return
        try:
            await self._queue.push(scan_ids, first=True)
        except QueueUnavailableError as error:
            # They are due: the other half of a sweep pushes them once Redis answers again.
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
                survived=self._judged,
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
            full_detail = f"{OUTCOME_MESSAGES[outcome]} {detail}"
            ending = final_without_page(scan, outcome, detail=full_detail, now=now)
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
    """Return the ids of scans whose turn has come before that of some scan with a wake-up.

    `due` is in the order of turns; scans that were tried before also come first. If the queue is
    longer than what was read, all are returned: a wake-up at its end would come too late, and the
    next sweep would not find it.
    """
    if not waiting.is_all:
        return {scan.id for scan in due}
    last = max((turn for turn, scan in enumerate(due) if scan.id in waiting.scan_ids), default=0)
    return {scan.id for scan in due[:last]} | {scan.id for scan in due if scan.attempt}


def _not_woken(due: Sequence[Scan], waiting: Waiting) -> list[Scan]:
    return [scan for scan in due if scan.id not in waiting.scan_ids]


class _LeaseWatch:
    """Finds leases that have run out, also if the clock was set back after they were written."""

    def __init__(self, lease: timedelta, monotonic: Callable[[], float]) -> None:
        self._lease = lease
        self._monotonic = monotonic
        #: Leases that end later than any new lease can, and the time at which each was first seen.
        self._too_long: dict[str, tuple[datetime, float]] = {}

    def keep_only(self, leased: Sequence[Scan]) -> None:
        ids = {scan.id for scan in leased}
        self._too_long = {key: kept for key, kept in self._too_long.items() if key in ids}

    def has_run_out(self, scan: Scan, now: datetime) -> bool:
        until = scan.lease_until or now
        if until <= now + self._lease + CLOCK_SKEW:
            self._too_long.pop(scan.id, None)
            return until <= now
        # The clock was set back. A living worker renews the lease in time, by the clock of now.
        known_until, since_s = self._too_long.setdefault(scan.id, (until, self._monotonic()))
        if known_until != until:
            self._too_long[scan.id] = (until, self._monotonic())
            return False
        return self._monotonic() - since_s >= self._lease.total_seconds()
