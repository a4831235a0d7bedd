"""An attempt from claim to record, over the memory store and a scripted sandbox."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
import pytest

from safeurl.adapters.memory.store import MemoryStore
from safeurl.errors import RowRefusedError
from safeurl.model.report import Evidence, FetchRequest
from safeurl.model.sandbox import SandboxExit, Stop
from safeurl.model.scan import Scan
from safeurl.state import Outcome, State
from tests.support.attempt_world import DEFAULT_LIMITS, AttemptWorld, utc_now
from tests.support.sandbox import ScriptedEgress, ScriptedSandbox, page_lines


def _garbage(_request: FetchRequest) -> list[bytes]:
    return [b"this is no report\n"]


def _timed_out(request: FetchRequest) -> list[bytes]:
    return page_lines(request, Outcome.FETCH_TIMEOUT)


async def test_a_page_is_completed_with_result_and_artefact() -> None:
    """A seen page ends COMPLETED with evidence, one result and its body stored."""
    world = AttemptWorld(ScriptedSandbox())
    scan = await world.run()
    assert (scan.state, scan.outcome) == (State.COMPLETED, Outcome.OK)
    assert (scan.version, scan.attempt) == (3, 1)
    result = await world.store.result(scan.id)
    assert result is not None
    assert (result.title, result.http_status) == ("Hello", 200)
    [artefact] = await world.store.artefacts(scan.id)
    assert await world.artefacts.get(artefact.sha256) == b"hello"


@pytest.mark.parametrize(
    ("script", "ended", "state", "outcome"),
    [
        (_garbage, SandboxExit(exit_code=0), State.FAILED, Outcome.REPORT_MALFORMED),
        (_timed_out, SandboxExit(exit_code=0), State.TIMED_OUT, Outcome.FETCH_TIMEOUT),
        (
            lambda r: page_lines(r)[:2],
            SandboxExit(exit_code=137, stopped=Stop.DEADLINE),
            State.TIMED_OUT,
            Outcome.WALL_TIMEOUT,
        ),
        (
            lambda _: [],
            SandboxExit(exit_code=137, oom_killed=True),
            State.FAILED,
            Outcome.OUT_OF_MEMORY,
        ),
        (lambda _: [], SandboxExit(exit_code=1), State.FAILED, Outcome.SANDBOX_CRASHED),
    ],
)
async def test_how_attempts_end(
    script: Callable[[FetchRequest], list[bytes]],
    ended: SandboxExit,
    state: State,
    outcome: Outcome,
) -> None:
    """Each kind of end reaches its final state with one result."""
    world = AttemptWorld(ScriptedSandbox(script=script, exit=ended))
    scan = await world.run()
    assert (scan.state, scan.outcome) == (state, outcome)
    assert await world.store.result(scan.id) is not None


async def test_a_timeout_keeps_what_had_come() -> None:
    """A TIMED_OUT scan has the evidence and artefacts that arrived before the deadline."""
    ended = SandboxExit(exit_code=137, stopped=Stop.DEADLINE)
    world = AttemptWorld(ScriptedSandbox(script=lambda r: page_lines(r)[:-1], exit=ended))
    scan = await world.run()
    document = await world.store.evidence(scan.id)
    assert document is not None
    evidence = msgspec.json.decode(document, type=Evidence)
    assert evidence.hops[0].status == 200
    assert evidence.body is not None
    [artefact] = await world.store.artefacts(scan.id)
    assert await world.artefacts.get(artefact.sha256) == b"hello"


async def test_no_sandbox_puts_the_scan_off() -> None:
    """Docker's failure is not the page's: the scan is queued again with a pause."""
    world = AttemptWorld(ScriptedSandbox(script=lambda _: [], exit=SandboxExit(error="No engine.")))
    scan = await world.run()
    assert (scan.state, scan.outcome) == (State.QUEUED, Outcome.SANDBOX_UNAVAILABLE)
    assert scan.run_after - scan.updated_at == timedelta(minutes=1)
    assert "No engine." in (scan.detail or "")


_FAILS, _WORKS = [True], [False]


@pytest.mark.parametrize(
    ("sandbox", "heard"),
    [
        (ScriptedSandbox(), _WORKS),
        (ScriptedSandbox(script=lambda _: [], exit=SandboxExit(exit_code=1)), _WORKS),
        (ScriptedSandbox(script=lambda _: [], exit=SandboxExit(error="No disk.")), _FAILS),
        (ScriptedSandbox(takes_s=30), _FAILS),
        (ScriptedSandbox(script=lambda _: [], exit=SandboxExit(exit_code=137)), []),
    ],
    ids=["a page", "a crash", "an error", "too slow", "ended from outside"],
)
async def test_what_a_run_says_of_the_engine(sandbox: ScriptedSandbox, heard: list[bool]) -> None:
    """The circuit breaker is updated: a worker whose engine fails gets no scans for some time."""
    await AttemptWorld(
        sandbox, replace(DEFAULT_LIMITS, attempt_timeout=timedelta(seconds=0.2))
    ).run()
    assert sandbox.heard == heard


@pytest.mark.parametrize(("told", "heard"), [(True, []), (False, _FAILS)])
async def test_what_is_too_late_for_rq_was_too_slow(*, told: bool, heard: list[bool]) -> None:
    """RQ's deadline is much later than an attempt's; an operator's stop counts nothing."""
    world = AttemptWorld(ScriptedSandbox(takes_s=30))
    executor = world.make_executor(DEFAULT_LIMITS, is_stopping=lambda: told)
    await world.store.add([world.scan])
    running = asyncio.create_task(executor.run(world.scan.id))
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert world.sandbox.heard == heard


async def test_a_lost_claim_runs_no_sandbox() -> None:
    """Two deliveries of one wake-up start one sandbox."""
    world = AttemptWorld(ScriptedSandbox())
    await world.run()
    assert await world.executor.run(world.scan.id) is None
    assert len(world.sandbox.runs) == 1


async def test_a_rescued_attempt_ends_its_sandbox_and_writes_nothing() -> None:
    """When another worker gets the lease, the sandbox is cancelled and the row stays unchanged."""
    limits = replace(
        DEFAULT_LIMITS, attempt_timeout=timedelta(seconds=20), lease=timedelta(seconds=0.3)
    )
    world = AttemptWorld(ScriptedSandbox(takes_s=10), limits)
    await world.store.add([world.scan])
    attempt = asyncio.create_task(world.executor.run(world.scan.id))
    await asyncio.sleep(0.05)
    claimed = await world.store.get(world.scan.id)
    assert claimed is not None
    taken = await world.store.requeue(
        claimed,
        outcome=Outcome.LEASE_LOST,
        detail=None,
        run_after=utc_now(),
        now=utc_now(),
        actor="rescuer",
    )
    assert await attempt is None
    assert world.sandbox.cancelled == 1
    assert world.sandbox.released == [(world.scan.id, 1)]
    assert await world.store.get(world.scan.id) == taken


async def test_a_fault_in_renewing_is_raised_and_ends_the_sandbox() -> None:
    """An error that is not a lost lease is raised, and so is in the task's log."""

    class Refusing(MemoryStore):
        async def renew_lease(self, scan: Scan, *, lease_until: datetime) -> bool:
            raise RowRefusedError(f"{scan.id} {lease_until}")

    limits = replace(DEFAULT_LIMITS, lease=timedelta(seconds=0.3))
    world = AttemptWorld(ScriptedSandbox(takes_s=10), limits)
    world.store = Refusing()
    world.executor = world.make_executor(limits)
    await world.store.add([world.scan])
    with pytest.raises(RowRefusedError):
        await world.executor.run(world.scan.id)
    assert world.sandbox.cancelled == 1
    assert world.sandbox.released == [(world.scan.id, 1)]


async def test_a_sandbox_that_never_returns_is_given_up() -> None:
    """The attempt's own deadline ends it even when Docker does not."""
    limits = replace(DEFAULT_LIMITS, attempt_timeout=timedelta(seconds=0.2), max_retries=0)
    world = AttemptWorld(ScriptedSandbox(takes_s=30), limits)
    scan = await world.run()
    assert (scan.state, scan.outcome) == (State.FAILED, Outcome.SANDBOX_UNAVAILABLE)


async def test_the_request_holds_only_what_the_fetcher_needs() -> None:
    """The request line names the scan and its limits, and no address or secret of ours."""
    world = AttemptWorld(ScriptedSandbox())
    await world.run()
    [ran] = world.sandbox.runs
    fields = msgspec.to_builtins(ran.request)
    assert set(fields) == {
        *("scan", "attempt", "url", "profile", "timeout_s", "max_redirects", "max_body_bytes"),
        *("policy", "user_agent", "gateway"),
    }
    assert set(fields["policy"]) == {
        *("allow_cidrs", "deny_cidrs", "allow_ports", "deny_ports", "dns64")
    }
    assert ran.request.timeout_s < ran.deadline_s
    assert ran.deadline_s == DEFAULT_LIMITS.container_timeout.total_seconds()


async def test_the_gateways_record_joins_the_evidence() -> None:
    """The sandbox gets its own socket, and its connections are stored as evidence."""
    egress = ScriptedEgress()
    world = AttemptWorld(ScriptedSandbox(), egress=egress)
    scan = await world.run()
    [ran] = world.sandbox.runs
    assert ran.endpoint is not None
    assert (ran.endpoint.directory, ran.request.gateway) == ("/rooms/r1", True)
    document = await world.store.evidence(scan.id)
    assert document is not None
    assert msgspec.json.decode(document, type=Evidence).egress == egress.record
    assert egress.closed == ["r1"]
    # The sandbox's own deadline comes first, however long Docker takes to start it.
    assert egress.deadlines_s == [DEFAULT_LIMITS.attempt_timeout.total_seconds()]


@pytest.mark.parametrize(
    ("lost_at", "pause"),
    [("create", timedelta(minutes=1)), ("bind", timedelta(minutes=1)), ("close", timedelta(0))],
)
async def test_a_lost_gateway_puts_the_scan_off(lost_at: str, pause: timedelta) -> None:
    """Without the gateway's record nothing is trusted, so there is another attempt.

    It starts at once if the gateway worked before, because workers wait by themselves.
    """
    world = AttemptWorld(ScriptedSandbox(), egress=ScriptedEgress(lost_at=lost_at))
    scan = await world.run()
    assert (scan.state, scan.outcome) == (State.QUEUED, Outcome.SANDBOX_UNAVAILABLE)
    assert "gateway" in (scan.detail or "")
    assert scan.run_after - scan.updated_at == pause
    assert await world.store.evidence(scan.id) is None


async def test_a_worker_that_is_stopped_while_it_claims_hands_the_scan_back() -> None:
    """A claim that is won after the signal is given up at once, not left to its lease."""

    class Slow(MemoryStore):
        """A store that returns from a claim only when the test allows it."""

        def __init__(self) -> None:
            super().__init__()
            self.asked, self.answer = asyncio.Event(), asyncio.Event()

        async def claim(
            self, scan_id: str, *, owner: str, now: datetime, lease_until: datetime
        ) -> Scan | None:
            won = await super().claim(scan_id, owner=owner, now=now, lease_until=lease_until)
            self.asked.set()
            await self.answer.wait()
            return won

    world = AttemptWorld(ScriptedSandbox())
    world.store = store = Slow()
    executor = world.make_executor(DEFAULT_LIMITS)
    await store.add([world.scan])
    running = asyncio.create_task(executor.run(world.scan.id))
    await store.asked.wait()
    running.cancel()
    await asyncio.sleep(0)
    store.answer.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    found = await store.get(world.scan.id)
    assert found is not None
    assert (found.state, found.lease_owner, found.attempt) == (State.QUEUED, None, 1)
