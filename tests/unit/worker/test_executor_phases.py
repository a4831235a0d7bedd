"""The phases of an attempt explain the complete time from submission to final write."""

from datetime import datetime, timedelta

import pytest

from safeurl.adapters.memory.artefacts import MemoryArtefacts
from safeurl.adapters.memory.store import MemoryStore
from safeurl.errors import SandboxUnavailableError
from safeurl.model.attempt import PHASES, Attempt
from safeurl.model.egress_evidence import EgressEvidence
from safeurl.model.records.wakeup import Arrival
from safeurl.model.report import FetchRequest
from safeurl.model.sandbox import SandboxExit
from safeurl.model.scan import Scan
from safeurl.ports.egress import Egress, EgressEndpoint
from safeurl.ports.sandbox import Sink
from safeurl.services.phase_figures import phase_ms, total_ms
from safeurl.state import Outcome, State
from tests.support.builders import NOW, make_scan
from tests.support.sandbox import ScriptedEgress, ScriptedPrepared, ScriptedSandbox
from worker.attempt.executor import Executor
from worker.attempt.limits import AttemptLimits

_LIMITS = AttemptLimits(
    fetch_timeout=timedelta(seconds=2),
    container_timeout=timedelta(seconds=3),
    attempt_timeout=timedelta(seconds=4),
    lease=timedelta(seconds=30),
    max_retries=3,
    max_redirects=10,
    max_body_bytes=1000,
)
#: Each look at the clock takes so long, so that no time passes outside of the phases unseen.
_LOOK_MS = 0.25


class _Clock:
    """The wall clock and the monotonic clock of one host, which move together."""

    def __init__(self) -> None:
        self.passed_ms = 0.0

    def __call__(self) -> datetime:
        self.passed_ms += _LOOK_MS
        return self.at(self.passed_ms)

    def monotonic(self) -> float:
        """Return the same time in seconds, from another beginning."""
        self.passed_ms += _LOOK_MS
        return self.seconds(self.passed_ms)

    @staticmethod
    def at(ms: float) -> datetime:
        """Return the time that is so long after `NOW`."""
        return NOW + timedelta(milliseconds=ms)

    @staticmethod
    def seconds(ms: float) -> float:
        """Return that time by the monotonic clock."""
        return 5000.0 + ms / 1000


class _SlowStore(MemoryStore):
    """A store whose writes take time."""

    def __init__(self, clock: _Clock) -> None:
        super().__init__()
        self._clock = clock

    async def claim(
        self, scan_id: str, *, owner: str, now: datetime, lease_until: datetime
    ) -> Scan | None:
        """Claim in 3 ms."""
        self._clock.passed_ms += 3
        return await super().claim(scan_id, owner=owner, now=now, lease_until=lease_until)

    async def begin_analysis(self, scan: Scan, **moved: object) -> Scan | None:
        """Move in 7 ms."""
        self._clock.passed_ms += 7
        return await super().begin_analysis(scan, **moved)  # type: ignore[arg-type]  # passed on unchanged


class _SlowPrepared(ScriptedPrepared):
    """A sandbox that takes 30 ms for its page."""

    async def execute(self, request: FetchRequest, *, deadline_s: float, sink: Sink) -> SandboxExit:
        """Run the script."""
        _clock_of(self).passed_ms += 30
        return await super().execute(request, deadline_s=deadline_s, sink=sink)


def _clock_of(prepared: ScriptedPrepared) -> _Clock:
    assert isinstance(prepared.sandbox, _SlowSandbox)
    return prepared.sandbox.clock


class _SlowSandbox(ScriptedSandbox):
    """A sandbox that starts in 200 ms."""

    clock: _Clock

    async def prepare(
        self,
        scan: str,
        attempt: int,
        *,
        egress: Egress | None,
        deadline_s: float,
        cold_only: bool = False,
    ) -> ScriptedPrepared:
        """Start one."""
        self.clock.passed_ms += 200
        made = await super().prepare(
            scan, attempt, egress=egress, deadline_s=deadline_s, cold_only=cold_only
        )
        return _SlowPrepared(self, scan, attempt, made.endpoint)


class _SlowEgress(ScriptedEgress):
    """A gateway that binds in 1 ms and closes in 2."""

    clock: _Clock

    async def bind(
        self, endpoint: EgressEndpoint, request: FetchRequest, *, deadline_s: float
    ) -> None:
        """Bind a socket."""
        self.clock.passed_ms += 1
        await super().bind(endpoint, request, deadline_s=deadline_s)

    async def close(self, endpoint: EgressEndpoint) -> EgressEvidence:
        """Return the record."""
        self.clock.passed_ms += 2
        return await super().close(endpoint)


class _World:
    """Slow parts over one clock, and a scan that was submitted at `NOW`."""

    def __init__(self, *, with_gateway: bool = True) -> None:
        self.clock = _Clock()
        self.store = _SlowStore(self.clock)
        self.sandbox = _SlowSandbox()
        self.sandbox.clock = self.clock
        self.egress = _SlowEgress() if with_gateway else None
        if self.egress is not None:
            self.egress.clock = self.clock
        self.scan = make_scan()

    async def run(self, due_ms: float = 0.0) -> Attempt:
        """Run an attempt that is woken 2 ms after it is due; return its row."""
        if await self.store.get(self.scan.id) is None:
            await self.store.add([self.scan])
        self.clock.passed_ms = due_ms + 12
        arrival = Arrival(
            pushed_at=self.clock.at(due_ms + 2),
            taken_at=self.clock.at(due_ms + 3),
            taken_s=self.clock.seconds(due_ms + 3),
        )
        executor = Executor(
            store=self.store,
            sandbox=self.sandbox,
            egress=self.egress,
            artefacts=MemoryArtefacts(),
            limits=_LIMITS,
            clock=self.clock,
            owner="w1",
            monotonic=self.clock.monotonic,
        )
        await executor.run(self.scan.id, arrival)
        return (await self.store.attempts(self.scan.id))[-1]


def _times(attempt: Attempt) -> dict[str, float | None]:
    """Return the phases to the full millisecond, which leaves the looks at the clock out."""
    found = {phase: phase_ms(attempt, phase) for phase in PHASES}
    return {phase: None if ms is None else float(int(ms)) for phase, ms in found.items()}


def _explained_ms(attempt: Attempt) -> float:
    return sum(phase_ms(attempt, phase) or 0.0 for phase in PHASES)


async def test_the_phases_add_up_to_the_time_from_submission_to_the_final_write() -> None:
    """What remains is the look at the clock for the time of the final write itself."""
    world = _World()
    attempt = await world.run()
    assert _times(attempt) == {
        "push": 2.0,
        "wake": 1.0,
        "dispatch": 9.0,
        "claim": 3.0,
        "prepare": 200.0,
        "bind": 1.0,
        "fetch": 30.0,
        "close": 2.0,
        "store": 7.0,
        "analyse": 0.0,
    }
    assert attempt.ended_at is not None
    whole_ms = (attempt.ended_at - world.scan.created_at) / timedelta(milliseconds=1)
    assert _explained_ms(attempt) == pytest.approx(whole_ms, abs=2 * _LOOK_MS)
    assert total_ms(attempt) == pytest.approx(whole_ms, abs=2 * _LOOK_MS)
    assert (attempt.start_kind, attempt.outcome) == ("cold", Outcome.OK)


async def test_the_phases_of_a_retry_begin_with_the_end_of_its_pause() -> None:
    """The first attempt keeps its own phases; the pause belongs to no phase."""
    world = _World()
    world.sandbox.unprepared = SandboxUnavailableError("No engine.")
    first = await world.run()
    assert first.outcome is Outcome.SANDBOX_UNAVAILABLE
    wanted = {"push": 2.0, "wake": 1.0, "dispatch": 9.0, "claim": 3.0, "prepare": 200.0}
    assert _times(first) == {phase: wanted.get(phase) for phase in PHASES}
    world.sandbox.unprepared = None
    waiting = await world.store.get(world.scan.id)
    assert waiting is not None
    due_ms = (waiting.run_after - NOW) / timedelta(milliseconds=1)
    second = await world.run(due_ms)
    assert (await world.store.attempts(world.scan.id))[0] == first
    assert second.ended_at is not None
    whole_ms = (second.ended_at - waiting.run_after) / timedelta(milliseconds=1)
    assert _explained_ms(second) == pytest.approx(whole_ms, abs=2 * _LOOK_MS)
    assert second.push_ms == pytest.approx(2.0)


async def test_an_end_without_a_page_has_the_phases_until_then() -> None:
    """A crash has a fetch and no analysis; without a gateway there is no socket to bind."""
    world = _World(with_gateway=False)
    world.sandbox.script = lambda _: []
    world.sandbox.exit = SandboxExit(container_id="c1", exit_code=1)
    attempt = await world.run()
    assert attempt.outcome is Outcome.SANDBOX_CRASHED
    unknown = {phase for phase, ms in _times(attempt).items() if ms is None}
    assert unknown == {"bind", "close", "store", "analyse"}
    assert _times(attempt)["fetch"] == 30.0


async def test_sandboxes_that_lost_their_gateway_count_to_the_same_phases() -> None:
    """Two are prepared in vain, and the third one is bound."""
    world = _World()
    assert world.egress is not None
    world.egress.lost_at, world.egress.failures = "bind", 2
    attempt = await world.run()
    times = _times(attempt)
    assert (times["prepare"], times["bind"], times["close"]) == (600.0, 3.0, 6.0)
    assert attempt.ended_at is not None
    whole_ms = (attempt.ended_at - world.scan.created_at) / timedelta(milliseconds=1)
    assert _explained_ms(attempt) == pytest.approx(whole_ms, abs=2 * _LOOK_MS)


async def test_an_attempt_without_a_wake_up_knows_its_own_phases() -> None:
    """The wait before it is not known then."""
    world = _World()
    await world.store.add([world.scan])
    executor = Executor(
        store=world.store,
        sandbox=world.sandbox,
        egress=world.egress,
        artefacts=MemoryArtefacts(),
        limits=_LIMITS,
        clock=world.clock,
        owner="w1",
        monotonic=world.clock.monotonic,
    )
    scan = await executor.run(world.scan.id)
    assert scan is not None
    assert scan.state is State.COMPLETED
    (attempt,) = await world.store.attempts(scan.id)
    assert (attempt.push_ms, attempt.wake_ms, attempt.dispatch_ms) == (None, None, None)
    assert _times(attempt)["fetch"] == 30.0
