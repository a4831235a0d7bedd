"""The limits of the settings reach the fetcher and the scan's record, each in its field."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec

from safeurl.adapters.memory.artefacts import MemoryArtefacts
from safeurl.adapters.memory.store import MemoryStore
from safeurl.address import PolicyOverrides
from safeurl.errors import StoreUnavailableError
from safeurl.model.report import FetchRequest, ReportLine, encode_line
from safeurl.model.sandbox import SandboxExit, StartKind
from safeurl.model.scan import AuditEntry, Scan
from safeurl.state import Outcome, State
from tests.support.builders import make_scan
from tests.support.sandbox import ScriptedSandbox, page_lines
from worker.attempt.executor import Executor
from worker.attempt.limits import AttemptLimits

_POLICY = PolicyOverrides(
    allow_cidrs=("10.0.0.0/8",),
    deny_cidrs=("8.8.8.8/32",),
    allow_ports=(8080,),
    deny_ports=(443,),
    dns64=True,
)
_LIMITS = AttemptLimits(
    fetch_timeout=timedelta(seconds=2),
    container_timeout=timedelta(seconds=3),
    attempt_timeout=timedelta(seconds=4),
    lease=timedelta(seconds=30),
    max_retries=3,
    backoff=(timedelta(seconds=7), timedelta(seconds=70)),
    max_redirects=5,
    max_body_bytes=1000,
    user_agent="agent",
    policy=_POLICY,
)


def _now() -> datetime:
    return datetime.now(UTC)


async def _attempt(
    sandbox: ScriptedSandbox,
    limits: AttemptLimits = _LIMITS,
    store: MemoryStore | None = None,
) -> tuple[Scan, list[AuditEntry]]:
    """Run one attempt; return the scan after it, and its trail."""
    store, scan = store or MemoryStore(), make_scan(_now())
    executor = Executor(
        store=store,
        sandbox=sandbox,
        egress=None,
        artefacts=MemoryArtefacts(),
        limits=limits,
        clock=_now,
        owner="w1",
    )
    await store.add([scan])
    await executor.run(scan.id)
    found = await store.get(scan.id)
    assert found is not None
    return found, await store.audit(scan.id)


async def test_the_fetcher_is_told_what_it_may() -> None:
    """On the bridge, only the fetcher refuses the denied networks and ports."""
    sandbox = ScriptedSandbox()
    scan, _ = await _attempt(sandbox)
    [ran] = sandbox.runs
    assert ran.request == FetchRequest(
        scan=scan.id,
        attempt=1,
        url=scan.url,
        profile=scan.profile,
        timeout_s=2.0,
        max_redirects=5,
        max_body_bytes=1000,
        policy=_POLICY,
        user_agent="agent",
        gateway=False,
    )
    assert ran.deadline_s == 3.0


async def test_a_scan_is_put_off_for_as_long_as_the_settings_say() -> None:
    """The first pause of RETRY_BACKOFF_SECONDS is used, not the default."""
    sandbox = ScriptedSandbox(script=lambda _: [], exit=SandboxExit(error="No engine."))
    scan, _ = await _attempt(sandbox)
    assert scan.run_after - scan.updated_at == timedelta(seconds=7)


async def test_without_retries_the_first_failure_is_the_last() -> None:
    """MAX_RETRIES of 0."""
    sandbox = ScriptedSandbox(script=lambda _: [], exit=SandboxExit(error="No engine."))
    scan, _ = await _attempt(sandbox, replace(_LIMITS, max_retries=0))
    assert (scan.state, scan.detail) == (State.FAILED, "No engine.")


def _cut(request: FetchRequest) -> list[bytes]:
    lines = page_lines(request)[:-1]
    report = ReportLine(
        scan=request.scan,
        attempt=request.attempt,
        outcome=Outcome.BODY_TOO_LARGE,
        detail="Cut off at 1000 bytes.",
    )
    return [*lines, encode_line(report)]


async def test_what_a_report_says_of_its_outcome_is_kept() -> None:
    """The scan is COMPLETED and shows the sentence."""
    scan, _ = await _attempt(ScriptedSandbox(script=_cut))
    assert (scan.state, scan.outcome) == (State.COMPLETED, Outcome.BODY_TOO_LARGE)
    assert scan.detail == "Cut off at 1000 bytes."


async def test_how_each_sandbox_ended_is_on_record() -> None:
    """One note of the attempt, between its claim and its end."""
    ended = SandboxExit(container_id="0123456789abcdef", exit_code=3, start_kind=StartKind.COLD)
    _, trail = await _attempt(ScriptedSandbox(script=lambda _: [], exit=ended))
    assert [entry.event for entry in trail] == ["submitted", "transition", "sandbox", "transition"]
    facts = msgspec.json.decode(trail[2].detail or "")
    assert (facts["container"], facts["exit_code"], facts["start"]) == ("0123456789ab", 3, "cold")


async def test_a_lease_that_could_not_be_renewed_is_left_to_the_rescuer() -> None:
    """The sandbox is ended, and nothing is written by a worker that may be late."""

    class Away(MemoryStore):
        async def renew_lease(self, scan: Scan, *, lease_until: datetime) -> bool:
            """Fail."""
            raise StoreUnavailableError(f"It is away: {scan.id} {lease_until}")

    sandbox = ScriptedSandbox(takes_s=10)
    limits = replace(_LIMITS, lease=timedelta(seconds=0.3))
    scan, trail = await _attempt(sandbox, limits, Away())
    assert (scan.state, scan.lease_owner, sandbox.cancelled) == (State.FETCHING, "w1", 1)
    assert len(trail) == 2
