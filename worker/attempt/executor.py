"""One attempt of one scan, as a line of steps: claim, sandbox, parse, analyse, record.

Every write is guarded by the store, so an attempt that was rescued meanwhile writes nothing.
Outcomes are values; the only errors that leave `run` are the store's, and then the lease runs
out and the rescuer takes the scan back.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Protocol

import msgspec
from msgspec import structs

from safeurl.address import PolicyOverrides
from safeurl.errors import EgressUnavailableError, StoreUnavailableError
from safeurl.model.egress_evidence import EgressEvidence
from safeurl.model.report import Evidence, FetchRequest
from safeurl.model.report_reader import ReportReader
from safeurl.model.scan import Artefact, Scan
from safeurl.ports.artefacts import ArtefactStore
from safeurl.ports.attempts import AttemptStore
from safeurl.ports.audit import AuditTrail
from safeurl.ports.clock import Clock
from safeurl.ports.egress import Egress, EgressEndpoint
from safeurl.ports.sandbox import Sandbox, SandboxExit, SandboxOrder
from safeurl.retry import BACKOFF, HANDED_BACK, failures, retry_delay
from safeurl.services.conclusion import final_from_evidence, final_without_page
from safeurl.state import ANALYZED_OUTCOMES, Outcome
from worker.attempt.classify import ReportFacts, classify
from worker.attempt.lease import LeaseHolder

_log = logging.getLogger("safeurl.attempt")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLimits:
    """What an attempt may take; the deadlines nest: fetch < container < attempt."""

    fetch_timeout: timedelta
    container_timeout: timedelta
    attempt_timeout: timedelta
    lease: timedelta
    max_retries: int
    #: Pauses before the retries.
    backoff: tuple[timedelta, ...] = BACKOFF
    max_redirects: int
    max_body_bytes: int
    user_agent: str = ""
    policy: PolicyOverrides = field(default_factory=PolicyOverrides)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOutcome:
    """What the sandbox brought home, already judged as to whose failure it was."""

    outcome: Outcome
    detail: str
    evidence: Evidence
    blobs: tuple[tuple[str, str, bytes], ...] = ()
    #: Whether the gateway went while the sandbox ran. Workers wait for the next one by themselves,
    #: so that the first retry needs no pause.
    was_cut_off: bool = False


class ExecutorStore(AttemptStore, AuditTrail, Protocol):
    """What an attempt uses of the database."""


class Executor:
    """Runs attempts; `owner` names this worker in leases and in the audit trail."""

    def __init__(  # noqa: PLR0913 - the parts an attempt touches, each handed in
        self,
        *,
        store: ExecutorStore,
        sandbox: Sandbox,
        egress: Egress | None,
        artefacts: ArtefactStore,
        limits: AttemptLimits,
        clock: Clock,
        owner: str,
        is_told: Callable[[], bool] = lambda: True,
    ) -> None:
        """Wire the parts; `egress` is None where sandboxes have a network of their own.

        An attempt that is cancelled is handed back where this worker `is_told` to stop. Else it is
        what runs the worker that gave up on it, and the rescuer counts that as a failure.
        """
        self._store = store
        self._sandbox = sandbox
        self._egress = egress
        self._artefacts = artefacts
        self._limits = limits
        self._clock = clock
        self._owner = owner
        self._is_told = is_told
        self._holder = LeaseHolder(store, lease=limits.lease, clock=clock)

    async def run(self, scan_id: str) -> Scan | None:
        """Run one attempt; return the scan as it left it, or None when it was not ours to run."""
        began_s = time.monotonic()
        claimed = await self._claim(scan_id)
        if claimed is None:
            _log.info("attempt.skipped scan=%s reason=not_claimable", scan_id)
            return None
        scan = await self._attempt(claimed)
        _log_attempt(claimed, scan, time.monotonic() - began_s)
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
            if (won := await _to_the_end(claiming)) is not None:
                await self._hand_back(won)
            raise

    async def _attempt(self, scan: Scan) -> Scan | None:
        try:
            findings = await self._fetch_held(scan)
        except asyncio.CancelledError:
            if not self._is_told():
                self._sandbox.hear(failed=True)  # nothing else is so late
            await self._hand_back(scan)
            raise
        if findings is None:
            return None
        return await _to_the_end(self._conclude(scan, findings))

    async def _conclude(self, scan: Scan, findings: FetchOutcome) -> Scan | None:
        try:
            kept = await self._keep_all(findings)
        except StoreUnavailableError as error:
            # A full disk says nothing about the page; a while later there may be room.
            return await self._give_up(scan, _not_started(str(error)), ())
        if findings.outcome in ANALYZED_OUTCOMES:
            return await self._analyse(scan, findings, kept)
        return await self._give_up(scan, findings, kept)

    async def _fetch_held(self, scan: Scan) -> FetchOutcome | None:
        """Fetch while the scan is ours; None when it was lost and the sandbox ended."""
        fetching = asyncio.create_task(self._fetch(scan))
        holding = asyncio.create_task(self._holder.hold(scan))
        try:
            await asyncio.wait({fetching, holding}, return_when=asyncio.FIRST_COMPLETED)
            return fetching.result() if fetching.done() else holding.result()
        finally:
            for task in (fetching, holding):
                task.cancel()
            await asyncio.gather(fetching, holding, return_exceptions=True)

    async def _hand_back(self, scan: Scan) -> None:
        """Give the scan up for another worker to take at once: this one was told to stop."""
        if not self._is_told():
            return
        now = self._clock()
        await self._store.requeue(
            scan,
            outcome=Outcome.LEASE_LOST,
            detail=HANDED_BACK,
            run_after=now,
            now=now,
            actor=self._owner,
        )
        _log.info("attempt.handed_back scan=%s attempt=%d", scan.id, scan.attempt)

    async def _fetch(self, scan: Scan) -> FetchOutcome:
        order, egress = self._order(scan), self._egress
        if egress is None:
            return await self._run_sandbox(scan, order)
        try:
            # The whole attempt's, so that slow Docker does not use up the container's own time.
            room = await egress.open(
                order.request, deadline_s=self._limits.attempt_timeout.total_seconds()
            )
        except EgressUnavailableError as error:
            return _not_started(str(error))
        try:
            found = await self._run_sandbox(scan, replace(order, egress_dir=room.directory))
        finally:
            record = await _leave(egress, room)
        if record is None:
            # What the page did is not known without the record, so the report is not believed.
            lost = _not_started("The egress gateway was lost while the sandbox ran.")
            return replace(lost, was_cut_off=True)
        return replace(found, evidence=structs.replace(found.evidence, egress=record))

    async def _run_sandbox(self, scan: Scan, order: SandboxOrder) -> FetchOutcome:
        reader = ReportReader(scan.id, scan.attempt)
        try:
            async with asyncio.timeout(self._limits.attempt_timeout.total_seconds()):
                ended = await self._sandbox.run(order, reader.feed)
        except TimeoutError:
            ended = SandboxExit(
                error="Docker did not end the sandbox within the attempt's deadline."
            )
        reader.close()
        facts = ReportFacts(
            fault=reader.fault, fault_detail=reader.fault_detail, report=reader.report
        )
        outcome, detail = classify(ended, facts)
        # A sandbox that was ended from outside says neither: a cancelled scan's ends like that too.
        if ended.error is not None or outcome is not Outcome.SANDBOX_UNAVAILABLE:
            self._sandbox.hear(failed=ended.error is not None)
        await self._note_sandbox(scan, ended)
        return FetchOutcome(
            outcome=outcome,
            detail=detail,
            evidence=reader.evidence(),
            blobs=tuple(reader.artefacts),
        )

    def _order(self, scan: Scan) -> SandboxOrder:
        limits = self._limits
        request = FetchRequest(
            scan=scan.id,
            attempt=scan.attempt,
            url=scan.url,
            profile=scan.profile,
            timeout_s=limits.fetch_timeout.total_seconds(),
            max_redirects=limits.max_redirects,
            max_body_bytes=limits.max_body_bytes,
            policy=limits.policy,
            user_agent=limits.user_agent,
            gateway=self._egress is not None,
        )
        return SandboxOrder(request=request, deadline_s=limits.container_timeout.total_seconds())

    async def _note_sandbox(self, scan: Scan, ended: SandboxExit) -> None:
        facts = {
            "container": (ended.container_id or "")[:12],
            "exit_code": ended.exit_code,
            "oom_killed": ended.oom_killed,
            "stopped": ended.stopped,
            "error": ended.error,
            "start": ended.start_kind,
            "ms": {phase: round(ms, 1) for phase, ms in ended.timings_ms.items()},
        }
        if ended.stderr_tail:
            _log.warning("sandbox.stderr scan=%s tail=%r", scan.id, ended.stderr_tail)
        await self._store.append_audit(
            scan, event="sandbox", detail=json.dumps(facts), now=self._clock(), actor=self._owner
        )

    async def _analyse(
        self, scan: Scan, findings: FetchOutcome, kept: Sequence[Artefact]
    ) -> Scan | None:
        """Move to ANALYZING with the evidence stored, judge it, and record the conclusion."""
        # All that the conclusion needs is stored with this move, so that another may draw it.
        analysing = await self._store.begin_analysis(
            scan,
            outcome=findings.outcome,
            detail=findings.detail or None,
            evidence_json=msgspec.json.encode(findings.evidence).decode(),
            artefacts=kept,
            now=self._clock(),
            actor=self._owner,
        )
        if analysing is None:
            return None
        ending = final_from_evidence(analysing, findings.evidence, self._clock())
        return await self._store.finish(analysing, ending, now=self._clock(), actor=self._owner)

    async def _give_up(
        self, scan: Scan, findings: FetchOutcome, kept: Sequence[Artefact]
    ) -> Scan | None:
        """Try again later where the outcome allows it, else end with what evidence had come."""
        limits = self._limits
        failed = failures(await self._store.audit(scan.id)) + 1
        backoff = (*[timedelta(0)] * findings.was_cut_off, *limits.backoff)
        delay = retry_delay(findings.outcome, failed, limits.max_retries, backoff)
        if delay is not None:
            now = self._clock()
            return await self._store.requeue(
                scan,
                outcome=findings.outcome,
                detail=findings.detail,
                run_after=now + delay,
                now=now,
                actor=self._owner,
            )
        ending = final_without_page(
            scan,
            findings.outcome,
            detail=findings.detail,
            now=self._clock(),
            evidence=findings.evidence,
            artefacts=kept,
        )
        return await self._store.finish(scan, ending, now=self._clock(), actor=self._owner)

    async def _keep_all(self, findings: FetchOutcome) -> tuple[Artefact, ...]:
        return tuple([await self._keep(*blob) for blob in findings.blobs])

    async def _keep(self, kind: str, media_type: str, data: bytes) -> Artefact:
        sha256 = await self._artefacts.put(data)
        return Artefact(kind=kind, sha256=sha256, size_bytes=len(data), media_type=media_type)


async def _to_the_end(work: Awaitable[Scan | None]) -> Scan | None:
    """Finish the work, which takes moments, even if we are told to stop meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({task})
    return task.result()


async def _leave(egress: Egress, room: EgressEndpoint) -> EgressEvidence | None:
    """Close the sandbox's door; None when there is no record of it any more."""
    try:
        return await egress.close(room)
    except EgressUnavailableError as error:
        _log.warning("egress.lost room=%s error=%r", room.id, str(error))
        return None


def _not_started(detail: str) -> FetchOutcome:
    return FetchOutcome(outcome=Outcome.SANDBOX_UNAVAILABLE, detail=detail, evidence=Evidence())


def _log_attempt(claimed: Scan, scan: Scan | None, took_s: float) -> None:
    _log.info(
        "attempt.ended scan=%s attempt=%d state=%s outcome=%s ms=%d",
        claimed.id,
        claimed.attempt,
        scan.state if scan else "lost",
        scan.outcome if scan else "-",
        took_s * 1000,
    )
