"""What an attempt does with its sandboxes: it prepares, binds and always releases them."""

import pytest

from safeurl.adapters.memory.store import MemoryStore
from safeurl.errors import RowRefusedError, SandboxUnavailableError
from safeurl.model.scan import Scan
from safeurl.ports.egress import EgressEndpoint
from safeurl.state import Outcome, State
from tests.support.attempt_world import DEFAULT_LIMITS, AttemptWorld
from tests.support.sandbox import ScriptedEgress, ScriptedSandbox


async def test_a_sandbox_whose_gateway_has_gone_gives_way_to_the_next_one() -> None:
    """As after a restart of the gateway: it costs no attempt, and each sandbox is released."""
    world = AttemptWorld(ScriptedSandbox(), egress=ScriptedEgress(lost_at="bind", failures=2))
    scan = await world.run()
    assert (scan.state, scan.attempt) == (State.COMPLETED, 1)
    assert world.sandbox.prepared == [(scan.id, 1)] * 3
    # The other sandboxes of the pool may have lost their sockets, too.
    assert world.sandbox.cold_only == [False, True, True]
    assert world.egress is not None
    assert world.egress.closed == ["r1", "r2", "r3"]
    [ran] = world.sandbox.runs
    assert ran.endpoint == EgressEndpoint(id="r3", directory="/rooms/r3")


async def test_a_sandbox_that_cannot_be_started_is_dockers_failure() -> None:
    """The scan is tried again, its record says why, and the circuit breaker hears of it."""
    world = AttemptWorld(ScriptedSandbox(unprepared=SandboxUnavailableError("No space.")))
    scan = await world.run()
    assert (scan.state, scan.outcome) == (State.QUEUED, Outcome.SANDBOX_UNAVAILABLE)
    assert (scan.detail, world.sandbox.heard) == ("No space.", [True])


async def test_the_scan_is_final_before_its_sandbox_is_released() -> None:
    """The removal of a container costs the user no time, and the worker is busy until then."""
    world = AttemptWorld(ScriptedSandbox())
    seen: list[State] = []

    async def look() -> None:
        found = await world.store.get(world.scan.id)
        assert found is not None
        seen.append(found.state)

    world.sandbox.on_release = look
    await world.run()
    assert seen == [State.COMPLETED]


async def test_a_fault_of_the_store_leaves_no_sandbox() -> None:
    """Whatever is raised on the way, the sandbox is released."""

    class Refusing(MemoryStore):
        async def append_audit(self, scan: Scan, **_fields: object) -> None:
            raise RowRefusedError(scan.id)

    world = AttemptWorld(ScriptedSandbox())
    world.store = Refusing()
    world.executor = world.make_executor(DEFAULT_LIMITS)
    await world.store.add([world.scan])
    with pytest.raises(RowRefusedError):
        await world.executor.run(world.scan.id)
    assert world.sandbox.released == world.sandbox.prepared == [(world.scan.id, 1)]
