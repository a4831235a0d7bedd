"""One attempt of one scan, as a sequence of steps: claim, fetch, analyse, record, release.

The scan is final as soon as it is recorded. Its sandbox is released after that, still within the
attempt, so that a worker never has more sandboxes than attempts.

The store guards every write, so an attempt whose scan was taken back writes nothing. Outcomes are
values. `run` raises only errors of the store; then the lease expires and the rescuer takes the scan
back.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

import msgspec

from safeurl.errors import StoreUnavailableError
from safeurl.model.records.wakeup import Arrival
from safeurl.model.sandbox import SandboxExit
from safeurl.model.scan import Artefact, Scan
from safeurl.ports.artefacts import ArtefactStore
from safeurl.ports.attempts import AttemptReader, AttemptStore
from safeurl.ports.clock import Clock
from safeurl.ports.egress import Egress
from safeurl.ports.sandbox import Sandbox
from safeurl.retry import failures, retry_delay
from safeurl.services.conclusion import final_from_evidence, final_without_page
from safeurl.state import ANALYZED_OUTCOMES, Outcome
from worker.attempt.fetch import FetchOutcome, fetch, not_started
from worker.attempt.lease import LeaseHolder
from worker.attempt.limits import AttemptLimits
from worker.attempt.phase_timer import PhaseTimer
from worker.cancellation import await_uncancelled

_log = logging.getLogger("safeurl.attempt")


class ExecutorStore(AttemptStore, AttemptReader, Protocol):
    """The parts of the database that an attempt needs."""


class Executor:
    """Runs attempts; `owner` names this worker in leases and in the audit trail."""

    def __init__(  # noqa: PLR0913 - one keyword per part of an attempt
        self,
        *,
        store: ExecutorStore,
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
        self._artefacts = artefacts
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
        return await await_uncancelled(self._conclude(scan, found, timer))

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
                detail=_sandbox_line(found.sandbox_exit),
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

    async def _conclude(self, scan: Scan, found: FetchOutcome, timer: PhaseTimer) -> Scan | None:
        try:
            kept = tuple([await self._keep(*blob) for blob in found.blobs])
        except StoreUnavailableError as error:
            # A full disk does not depend on the page, and a later attempt may find space.
            lost = not_started(str(error))
            lost = replace(lost, sandbox_exit=found.sandbox_exit, egress=found.egress)
            return await self._retry_or_end(scan, lost, (), timer)
        if found.outcome in ANALYZED_OUTCOMES:
            return await self._analyse(scan, found, kept, timer)
        return await self._retry_or_end(scan, found, kept, timer)

    async def _keep(self, kind: str, media_type: str, data: bytes) -> Artefact:
        sha256 = await self._artefacts.put(data)
        return Artefact(kind=kind, sha256=sha256, size_bytes=len(data), media_type=media_type)

    async def _analyse(
        self, scan: Scan, found: FetchOutcome, kept: Sequence[Artefact], timer: PhaseTimer
    ) -> Scan | None:
        """Move to ANALYZING with the evidence stored, judge it, and record the conclusion."""
        # This move stores everything for the conclusion, so that another host can draw it.
        with timer.ending("store"):
            analysing = await self._store.begin_analysis(
                scan,
                outcome=found.outcome,
                detail=found.detail or None,
                evidence_json=msgspec.json.encode(found.evidence).decode(),
                artefacts=kept,
                now=self._clock(),
                actor=self._owner,
                sandbox=timer.added_to(found.facts()),
            )
        if analysing is None:
            return None
        with timer.ending("analyse"):
            ending = final_from_evidence(analysing, found.evidence, self._clock())
        ending = replace(ending, sandbox=timer.added_to(found.facts()))
        return await self._store.finish(analysing, ending, now=self._clock(), actor=self._owner)

    async def _retry_or_end(
        self, scan: Scan, found: FetchOutcome, kept: Sequence[Artefact], timer: PhaseTimer
    ) -> Scan | None:
        """Requeue the scan if the outcome allows a retry; else end it with the present evidence."""
        limits = self._limits
        failed = failures(await self._store.attempts(scan.id)) + 1
        backoff = (*[timedelta(0)] * found.gateway_lost, *limits.backoff)
        delay = retry_delay(found.outcome, failed, limits.max_retries, backoff)
        now = self._clock()
        if delay is not None:
            return await self._store.requeue(
                scan,
                outcome=found.outcome,
                detail=found.detail,
                run_after=now + delay,
                now=now,
                actor=self._owner,
                sandbox=timer.added_to(found.facts()),
            )
        ending = final_without_page(
            scan,
            found.outcome,
            detail=found.detail,
            now=now,
            evidence=found.evidence,
            artefacts=kept,
            sandbox=timer.added_to(found.facts()),
        )
        return await self._store.finish(scan, ending, now=now, actor=self._owner)


def _sandbox_line(ended: SandboxExit) -> str:
    """Return the sandbox's line of the audit trail, which only people read."""
    facts = {
        "container": (ended.container_id or "")[:12],
        "exit_code": ended.exit_code,
        "oom_killed": ended.oom_killed,
        "stopped": ended.stopped,
        "error": ended.error,
        "start": ended.start_kind,
        "ms": {phase: round(ms, 1) for phase, ms in ended.timings_ms.items()},
    }
    return json.dumps(facts)


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
