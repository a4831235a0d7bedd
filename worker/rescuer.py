"""The rescuer: gives every scan that nobody will touch another chance.

Two sweeps, each safe to run on any number of hosts at once because every write is guarded:
QUEUED rows without a wake-up are pushed again (Redis was down, flushed, or lost the message),
and rows whose lease ran out go back to QUEUED or, past the retries, to FAILED.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from safeurl.analysis import inconclusive
from safeurl.errors import SandboxUnavailableError
from safeurl.ports import Clock, Ending, ScanStore, WakeQueue
from safeurl.report import Evidence
from safeurl.retry import retry_delay
from safeurl.scan import Scan
from safeurl.state import OUTCOME_WORDS, Outcome, final_state
from worker.executor import make_result

_log = logging.getLogger("safeurl.rescuer")

#: A wake-up may be on its way this long before we call it lost.
PUSH_GRACE = timedelta(seconds=3)
#: Rows looked at per sweep; the rest comes with the next one.
SWEEP_LIMIT = 500

#: Removes the container of a scan's attempt, if there is one here.
Reap = Callable[[str, int], Awaitable[bool]]


class Rescuer:
    """Sweeps the store; `actor` names this process in the audit trail."""

    def __init__(  # noqa: PLR0913 - the parts a sweep touches, each handed in
        self,
        store: ScanStore,
        queue: WakeQueue,
        *,
        clock: Clock,
        actor: str,
        max_retries: int,
        reap: Reap,
    ) -> None:
        """Wire the parts; `reap` removes the container that a lost attempt left on this host."""
        self._store = store
        self._queue = queue
        self._clock = clock
        self._actor = actor
        self._max_retries = max_retries
        self._reap = reap

    async def sweep(self) -> tuple[int, int]:
        """Run both sweeps; return how many scans were taken back and how many pushed again."""
        rescued = await self._take_back()
        return rescued, await self._push_again()

    async def _push_again(self) -> int:
        due = await self._store.due(now=self._clock() - PUSH_GRACE, limit=SWEEP_LIMIT)
        if not due:
            return 0
        waiting = await self._queue.waiting()
        forgotten = [scan.id for scan in due if scan.id not in waiting]
        if forgotten:
            await self._queue.push(forgotten)
            _log.info("rescuer.pushed count=%d", len(forgotten))
        return len(forgotten)

    async def _take_back(self) -> int:
        lost = await self._store.lost(now=self._clock(), limit=SWEEP_LIMIT)
        moved = [await self._take_back_one(scan) for scan in lost]
        for scan, taken in zip(lost, moved, strict=True):
            if taken is not None:
                await self._reap_one(scan)
        return sum(scan is not None for scan in moved)

    async def _reap_one(self, scan: Scan) -> None:
        try:
            await self._reap(scan.id, scan.attempt)
        except SandboxUnavailableError as error:
            # The reaper removes it once its deadline has passed; the other scans need not wait.
            _log.warning("rescuer.not_reaped scan=%s error=%s", scan.id, error)

    async def _take_back_one(self, scan: Scan) -> Scan | None:
        now = self._clock()
        detail = f"The worker {scan.lease_owner} was lost."
        _log.warning("rescuer.lost scan=%s attempt=%d", scan.id, scan.attempt)
        delay = retry_delay(Outcome.LEASE_LOST, scan.attempt, self._max_retries)
        if delay is None:
            return await self._store.finish(
                scan, _lost_ending(scan, detail, self._clock), now=now, actor=self._actor
            )
        return await self._store.requeue(
            scan,
            outcome=Outcome.LEASE_LOST,
            detail=detail,
            run_after=now + delay,
            now=now,
            actor=self._actor,
        )


def _lost_ending(scan: Scan, detail: str, clock: Clock) -> Ending:
    outcome = Outcome.LEASE_LOST
    verdict = inconclusive(outcome, Evidence(), url=scan.url)
    return Ending(
        state=final_state(outcome),
        outcome=outcome,
        detail=f"{OUTCOME_WORDS[outcome]} {detail}",
        result=make_result(scan, outcome, Evidence(), verdict, clock()),
    )
