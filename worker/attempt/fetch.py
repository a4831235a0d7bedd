"""One fetch: runs a sandbox with its gateway socket, reads its report, and finds the outcome."""

import asyncio
import json
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from msgspec import structs

from safeurl.errors import EgressUnavailableError, SandboxUnavailableError
from safeurl.model.attempt import SandboxFacts
from safeurl.model.egress_evidence import EgressEvidence
from safeurl.model.report import Evidence, FetchRequest
from safeurl.model.report_reader import ReportReader
from safeurl.model.sandbox import SandboxExit
from safeurl.model.scan import Scan
from safeurl.ports.egress import Egress, EgressEndpoint
from safeurl.ports.sandbox import PreparedSandbox, Sandbox, Sink
from safeurl.state import Outcome
from worker.attempt.classify import ReportFacts, classify
from worker.attempt.limits import AttemptLimits
from worker.attempt.phase_timer import PhaseTimer

_log = logging.getLogger("safeurl.attempt")

#: How many sandboxes an attempt prepares at most until one can be bound. One that was started ahead
#: may have lost its socket: the gateway has restarted, and nobody has noticed it yet.
_BIND_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOutcome:
    """The outcome of a fetch, and everything that it found."""

    outcome: Outcome
    detail: str
    evidence: Evidence = field(default_factory=Evidence)
    #: Kind, media type and content of each artefact.
    blobs: tuple[tuple[str, str, bytes], ...] = ()
    #: The end of the sandbox; None if none was started.
    sandbox_exit: SandboxExit | None = None
    #: The gateway's record of the connections; None if there is none.
    egress: EgressEvidence | None = None
    #: True if the gateway was lost while the sandbox ran. Workers wait for the next gateway, so the
    #: first retry needs no pause.
    gateway_lost: bool = False

    def facts(self) -> SandboxFacts | None:
        """Return the facts about the sandbox to store; None if none was started."""
        ended = self.sandbox_exit
        if ended is None:
            return None
        took = {phase: round(ms, 1) for phase, ms in ended.timings_ms.items()}
        facts = SandboxFacts(
            container_id=ended.container_id,
            start_kind=ended.start_kind,
            exit_code=ended.exit_code,
            oom_killed=ended.oom_killed,
            stopped=ended.stopped,
            peak_memory_bytes=ended.peak_memory_bytes,
            cpu_ms=ended.cpu_ms,
            create_ms=took.get("create"),
            start_ms=took.get("start"),
            run_ms=took.get("fetch"),
        )
        if self.egress is None:
            return facts
        return replace(facts, bytes_in=self.egress.bytes_in, bytes_out=self.egress.bytes_out)


def not_started(detail: str) -> FetchOutcome:
    """Return the outcome of a fetch that was not possible because of SafeURL itself."""
    return FetchOutcome(outcome=Outcome.SANDBOX_UNAVAILABLE, detail=detail)


async def fetch(  # noqa: PLR0913 - one keyword per part of a fetch
    scan: Scan,
    *,
    sandbox: Sandbox,
    egress: Egress | None,
    limits: AttemptLimits,
    releases: AsyncExitStack,
    timer: PhaseTimer,
) -> FetchOutcome:
    """Run the fetcher once; `egress` is None if sandboxes have their own network.

    The `timer` records the end of each phase. The sandbox may still run when this returns: the
    caller always closes `releases`, after the scan is recorded if it is.
    """
    request = limits.fetch_request(scan, gateway=egress is not None)
    reader = ReportReader(scan.id, scan.attempt)
    run = _Run(request, sandbox, egress, limits, releases, timer)
    try:
        ended = await run.execute(reader.feed)
    except EgressUnavailableError as error:
        return not_started(str(error))
    finally:
        record = await run.close()
    found = _judge(scan, ended, reader, sandbox)
    if run.endpoint is None:
        return found
    if record is None:
        # Without the record the page's connections are not known, so the report is not trusted.
        lost = not_started("The egress gateway was lost while the sandbox ran.")
        return replace(lost, sandbox_exit=ended, gateway_lost=True)
    return replace(found, egress=record, evidence=structs.replace(found.evidence, egress=record))


class _Run:
    """The steps of one fetch, each timed: prepare, bind, execute, close."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parameters of `fetch`
        self,
        request: FetchRequest,
        sandbox: Sandbox,
        egress: Egress | None,
        limits: AttemptLimits,
        releases: AsyncExitStack,
        timer: PhaseTimer,
    ) -> None:
        self._request = request
        self._sandbox = sandbox
        self._egress = egress
        self._limits = limits
        self._releases = releases
        self._timer = timer
        #: The gateway socket of the present sandbox; None if there is none.
        self.endpoint: EgressEndpoint | None = None

    async def execute(self, sink: Sink) -> SandboxExit:
        """Run the request; return Docker's failures as values, and raise the gateway's."""
        try:
            # One deadline for all steps: a slow Docker does not reduce the container's own time.
            async with asyncio.timeout(self._limits.attempt_timeout.total_seconds()):
                prepared = await self._prepare()
                with self._timer.ending("fetch"):
                    return await prepared.execute(
                        self._request,
                        deadline_s=self._limits.container_timeout.total_seconds(),
                        sink=sink,
                    )
        except SandboxUnavailableError as error:
            return SandboxExit(error=str(error))
        except TimeoutError:
            return SandboxExit(
                error="Docker did not end the sandbox within the attempt's deadline."
            )

    async def close(self) -> EgressEvidence | None:
        """Close the sandbox's socket; return its record, or None if the gateway has lost it."""
        if self._egress is None or self.endpoint is None:
            return None
        try:
            with self._timer.ending("close"):
                return await self._egress.close(self.endpoint)
        except EgressUnavailableError as error:
            _log.warning("egress.lost room=%s error=%r", self.endpoint.id, str(error))
            return None

    async def _prepare(self) -> PreparedSandbox:
        """Return a sandbox that is bound to this attempt.

        A sandbox of the pool may have lost its gateway socket; then one that is started now
        replaces it. The others of the pool may have lost theirs, too.
        """
        tries = 0
        while True:
            prepared = await self._start(cold_only=tries > 0)
            try:
                await self._bind(prepared)
            except EgressUnavailableError:
                await self._give_up(prepared)
                tries += 1
                if tries == _BIND_TRIES:
                    raise
            else:
                return prepared

    async def _start(self, *, cold_only: bool) -> PreparedSandbox:
        with self._timer.ending("prepare"):
            prepared = await self._sandbox.prepare(
                self._request.scan,
                self._request.attempt,
                egress=self._egress,
                deadline_s=self._limits.container_timeout.total_seconds(),
                cold_only=cold_only,
            )
        self._releases.push_async_callback(prepared.release)
        self.endpoint = prepared.endpoint
        return prepared

    async def _bind(self, prepared: PreparedSandbox) -> None:
        if self._egress is None or prepared.endpoint is None:
            return
        with self._timer.ending("bind"):
            # The deadline of the whole attempt; the container's own deadline is earlier.
            await self._egress.bind(
                prepared.endpoint,
                self._request,
                deadline_s=self._limits.attempt_timeout.total_seconds(),
            )

    async def _give_up(self, prepared: PreparedSandbox) -> None:
        """Release a sandbox before another one replaces it and uses its name."""
        await self.close()
        self.endpoint = None
        await prepared.release()


def _judge(scan: Scan, ended: SandboxExit, reader: ReportReader, sandbox: Sandbox) -> FetchOutcome:
    """Return the outcome that follows from the output and the end of a sandbox."""
    reader.close()
    facts = ReportFacts(fault=reader.fault, fault_detail=reader.fault_detail, report=reader.report)
    outcome, detail = classify(ended, facts)
    # A sandbox that was ended from outside shows neither: a cancelled scan's ends so too.
    if ended.error is not None or outcome is not Outcome.SANDBOX_UNAVAILABLE:
        sandbox.record_result(failed=ended.error is not None)
    if ended.stderr_tail:
        _log.warning("sandbox.stderr scan=%s tail=%r", scan.id, ended.stderr_tail)
    return FetchOutcome(
        outcome=outcome,
        detail=detail,
        evidence=reader.evidence(),
        blobs=tuple(reader.artefacts),
        sandbox_exit=ended,
    )


def sandbox_line(ended: SandboxExit) -> str:
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
