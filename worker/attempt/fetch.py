"""One fetch: a sandbox behind the gateway, its report, and whose failure it is where it failed."""

import asyncio
import logging
from dataclasses import dataclass, field, replace

from msgspec import structs

from safeurl.errors import EgressUnavailableError
from safeurl.model.attempt import SandboxFacts
from safeurl.model.egress_evidence import EgressEvidence
from safeurl.model.report import Evidence
from safeurl.model.report_reader import ReportReader
from safeurl.model.sandbox import SandboxExit, SandboxOrder
from safeurl.model.scan import Scan
from safeurl.ports.egress import Egress, EgressEndpoint
from safeurl.ports.sandbox import Sandbox
from safeurl.state import Outcome
from worker.attempt.classify import ReportFacts, classify
from worker.attempt.limits import AttemptLimits

_log = logging.getLogger("safeurl.attempt")


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOutcome:
    """What a fetch has found, and its outcome."""

    outcome: Outcome
    detail: str
    evidence: Evidence = field(default_factory=Evidence)
    #: Kind, media type and content of each artefact.
    blobs: tuple[tuple[str, str, bytes], ...] = ()
    #: How the sandbox ended; None where none was started.
    sandbox_exit: SandboxExit | None = None
    #: What went through the gateway; None where there is no record of it.
    egress: EgressEvidence | None = None
    #: Whether the gateway was lost while the sandbox ran. Workers wait for the next one by
    #: themselves, so that the first retry needs no pause.
    gateway_lost: bool = False

    def facts(self) -> SandboxFacts | None:
        """Return what is to be stored about the sandbox; None where none was started."""
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
            run_ms=took.get("run"),
            remove_ms=took.get("remove"),
        )
        if self.egress is None:
            return facts
        return replace(facts, bytes_in=self.egress.bytes_in, bytes_out=self.egress.bytes_out)


def not_started(detail: str) -> FetchOutcome:
    """Return the outcome of a fetch that could not be made, for a reason of ours."""
    return FetchOutcome(outcome=Outcome.SANDBOX_UNAVAILABLE, detail=detail)


async def fetch(
    scan: Scan, *, sandbox: Sandbox, egress: Egress | None, limits: AttemptLimits
) -> FetchOutcome:
    """Run the fetcher once; `egress` is None where sandboxes have a network of their own."""
    order = SandboxOrder(
        request=limits.fetch_request(scan, gateway=egress is not None),
        deadline_s=limits.container_timeout.total_seconds(),
    )
    if egress is None:
        return await _run_sandbox(scan, order, sandbox, limits)
    try:
        # The deadline of the whole attempt: a slow Docker must not use up the container's time.
        endpoint = await egress.open(
            order.request, deadline_s=limits.attempt_timeout.total_seconds()
        )
    except EgressUnavailableError as error:
        return not_started(str(error))
    try:
        order = replace(order, egress_dir=endpoint.directory)
        found = await _run_sandbox(scan, order, sandbox, limits)
    finally:
        record = await _close(egress, endpoint)
    if record is None:
        # What the page did is not known without the record, so the report is not believed.
        lost = not_started("The egress gateway was lost while the sandbox ran.")
        return replace(lost, sandbox_exit=found.sandbox_exit, gateway_lost=True)
    return replace(found, egress=record, evidence=structs.replace(found.evidence, egress=record))


async def _run_sandbox(
    scan: Scan, order: SandboxOrder, sandbox: Sandbox, limits: AttemptLimits
) -> FetchOutcome:
    reader = ReportReader(scan.id, scan.attempt)
    try:
        async with asyncio.timeout(limits.attempt_timeout.total_seconds()):
            ended = await sandbox.run(order, reader.feed)
    except TimeoutError:
        ended = SandboxExit(error="Docker did not end the sandbox within the attempt's deadline.")
    reader.close()
    facts = ReportFacts(fault=reader.fault, fault_detail=reader.fault_detail, report=reader.report)
    outcome, detail = classify(ended, facts)
    # A sandbox that was ended from outside says neither: a cancelled scan's ends like that too.
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


async def _close(egress: Egress, endpoint: EgressEndpoint) -> EgressEvidence | None:
    """Close the sandbox's socket; return None when the gateway has no record of it any more."""
    try:
        return await egress.close(endpoint)
    except EgressUnavailableError as error:
        _log.warning("egress.lost room=%s error=%r", endpoint.id, str(error))
        return None
