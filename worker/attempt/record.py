"""Records what an attempt has found: a final state, or another attempt later."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

import msgspec

from safeurl.errors import StoreUnavailableError
from safeurl.model.scan import Artefact, Scan
from safeurl.ports.artefacts import ArtefactStore
from safeurl.ports.attempts import AttemptReader, AttemptStore
from safeurl.ports.clock import Clock
from safeurl.retry import failures, retry_delay
from safeurl.services.conclusion import final_from_evidence, final_without_page
from safeurl.state import ANALYZED_OUTCOMES
from worker.attempt.fetch import FetchOutcome, not_started
from worker.attempt.limits import AttemptLimits
from worker.attempt.phase_timer import PhaseTimer


class RecordStore(AttemptStore, AttemptReader, Protocol):
    """The parts of the database that recording needs."""


class Recorder:
    """Stores the results of one worker's attempts; a scan that another has taken is left alone."""

    def __init__(
        self,
        *,
        store: RecordStore,
        artefacts: ArtefactStore,
        limits: AttemptLimits,
        clock: Clock,
        owner: str,
    ) -> None:
        """Take the parts; `owner` names this worker in the audit trail."""
        self._store = store
        self._artefacts = artefacts
        self._limits = limits
        self._clock = clock
        self._owner = owner

    async def record(self, scan: Scan, found: FetchOutcome, timer: PhaseTimer) -> Scan | None:
        """Return the scan as it is recorded; None if it was not ours any more."""
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
