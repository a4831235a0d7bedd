"""One attempt of one scan, as a sequence of steps: claim, fetch, analyse, record, release.

The scan is final as soon as it is recorded. Its sandbox is released after that, still within the
attempt, so that a worker never has more sandboxes than attempts.

The store guards every write, so an attempt whose scan was taken back writes nothing. Outcomes are
values. `run` raises only errors of the store; then the lease expires and the rescuer takes the scan
back.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

from safeurl.model.records.wakeup import Arrival
from safeurl.model.scan import Scan
from safeurl.ports.artefacts import ArtefactStore
from safeurl.ports.clock import Clock
from safeurl.ports.egress import Egress
from safeurl.ports.sandbox import Sandbox
from safeurl.state import Outcome
from worker.attempt.fetch import FetchOutcome, fetch, sandbox_line
from worker.attempt.lease import LeaseHolder
from worker.attempt.limits import AttemptLimits
from worker.attempt.phase_timer import PhaseTimer
from worker.attempt.record import Recorder, RecordStore
from worker.cancellation import await_uncancelled

_log = logging.getLogger("safeurl.attempt")


class Executor:
    """Runs attempts; `owner` names this worker in leases and in the audit trail."""

    def __init__(  # noqa: PLR0913 - one keyword per part of an attempt
        self,
        *,
        store: RecordStore,
        sandbox: Sandbox,
        egress: Egress | None,
        artefacts: ArtefactStore,
        limits: AttemptLimits,
        clock: Clock,
        owner: str,
        is_stopping: Callable[[], bool] = lambda: True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Store the parts; `egress` is None if sandboxes have their own network.

        If an attempt is cancelled because this worker `is_stopping`, it gives its scan back to the
        queue. If it is cancelled for another reason, it took too long, and the rescuer counts it as
        a failure.
        """
        self._store = store
        self._sandbox = sandbox
        self._egress = egress
        self._recorder = Recorder(
            store=store, artefacts=artefacts, limits=limits, clock=clock, owner=owner
        )
        self._limits = limits
        self._clock = clock
        self._owner = owner
        self._is_stopping = is_stopping
        self._monotonic = monotonic
        self._holder = LeaseHolder(store, lease=limits.lease, clock=clock)

    async def run(self, scan_id: str, arrival: Arrival | None = None) -> Scan | None:
        """Run one attempt; return the scan after it, or None if we could not claim or lost it.

        `arrival` is that of the wake-up for this scan.
        """
        began_s = self._monotonic()
        timer = PhaseTimer(arrival, monotonic=self._monotonic)
        with timer.ending("claim"):
            claimed = await self._claim(scan_id)
        if claimed is None:
            _log.info("attempt.skipped scan=%s reason=not_claimable", scan_id)
            return None
        timer.waited_since(claimed.run_after)
        async with AsyncExitStack() as releases:
            scan = await self._attempt(claimed, releases, timer)
            _log_attempt(claimed, scan, self._monotonic() - began_s, timer.since_end_ms())
        return scan

    async def _claim(self, scan_id: str) -> Scan | None:
        now = self._clock()
        claiming = asyncio.ensure_future(
            self._store.claim(
                scan_id, owner=self._owner, now=now, lease_until=now + self._limits.lease
            )
        )
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            if (won := await await_uncancelled(claiming)) is not None:
                await self._hand_back(won)
            raise

    async def _attempt(
        self, scan: Scan, releases: AsyncExitStack, timer: PhaseTimer
    ) -> Scan | None:
        try:
            found = await self._fetch_held(scan, releases, timer)
        except asyncio.CancelledError:
            if not self._is_stopping():
                # An attempt takes so long only if the engine does not answer.
                self._sandbox.record_result(failed=True)
            await self._hand_back(scan)
            raise
        if found is None:
            return None
        return await await_uncancelled(self._recorder.record(scan, found, timer))

    async def _fetch_held(
        self, scan: Scan, releases: AsyncExitStack, timer: PhaseTimer
    ) -> FetchOutcome | None:
        """Fetch while we hold the lease; return None if the scan was lost."""
        fetching = asyncio.create_task(self._fetch(scan, releases, timer))
        holding = asyncio.create_task(self._holder.hold(scan))
        try:
            await asyncio.wait({fetching, holding}, return_when=asyncio.FIRST_COMPLETED)
            return fetching.result() if fetching.done() else holding.result()
        finally:
            for task in (fetching, holding):
                task.cancel()
            await asyncio.gather(fetching, holding, return_exceptions=True)

    async def _fetch(self, scan: Scan, releases: AsyncExitStack, timer: PhaseTimer) -> FetchOutcome:
        found = await fetch(
            scan,
            sandbox=self._sandbox,
            egress=self._egress,
            limits=self._limits,
            releases=releases,
            timer=timer,
        )
        if found.sandbox_exit is not None:
            await self._store.append_audit(
                scan,
                event="sandbox",
                detail=sandbox_line(found.sandbox_exit),
                now=self._clock(),
                actor=self._owner,
            )
        return found

    async def _hand_back(self, scan: Scan) -> None:
        """Requeue the scan for another worker at once, if this worker stops."""
        if not self._is_stopping():
            return
        now = self._clock()
        await self._store.requeue(
            scan,
            outcome=Outcome.LEASE_LOST,
            detail="The worker was stopped.",
            run_after=now,
            now=now,
            actor=self._owner,
            counts_as_failure=False,
        )
        _log.info("attempt.handed_back scan=%s attempt=%d", scan.id, scan.attempt)


def _log_attempt(claimed: Scan, scan: Scan | None, took_s: float, record_ms: float) -> None:
    _log.info(
        "attempt.ended scan=%s attempt=%d state=%s outcome=%s ms=%d record_ms=%.1f",
        claimed.id,
        claimed.attempt,
        scan.state if scan else "lost",
        scan.outcome if scan else "-",
        took_s * 1000,
        record_ms,
    )
