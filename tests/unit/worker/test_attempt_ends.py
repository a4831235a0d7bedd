"""Attempts that are ended from outside: cancelled by a person, or stopped with their worker."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from safeurl.adapters.memory.artefacts import MemoryArtefacts
from safeurl.adapters.memory.store import MemoryStore
from safeurl.errors import StoreUnavailableError
from safeurl.model.audit import path_faults
from safeurl.model.scan import Scan
from safeurl.ports.artefacts import ArtefactStore
from safeurl.state import Outcome, State
from tests.support.builders import make_ending, make_scan
from tests.support.sandbox import ScriptedEgress, ScriptedSandbox
from worker.attempt.executor import Executor
from worker.attempt.limits import AttemptLimits

_LIMITS = AttemptLimits(
    fetch_timeout=timedelta(seconds=20),
    container_timeout=timedelta(seconds=30),
    attempt_timeout=timedelta(seconds=40),
    lease=timedelta(seconds=30),
    max_retries=0,
    max_redirects=10,
    max_body_bytes=1000,
)


def _now() -> datetime:
    return datetime.now(UTC)


class _SlowArtefacts(MemoryArtefacts):
    """A store that is slow, and that reports when it has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()

    async def put(self, data: bytes) -> str:
        """Store after a while."""
        self.begun.set()
        await asyncio.sleep(0.1)
        return await super().put(data)


class _World:
    def __init__(
        self,
        takes_s: float,
        artefacts: ArtefactStore | None = None,
        max_retries: int = 0,
        *,
        is_stopping: bool = True,
    ) -> None:
        self.store = MemoryStore()
        self.sandbox = ScriptedSandbox(takes_s=takes_s)
        self.egress = ScriptedEgress()
        self.scan = make_scan(_now())
        self.executor = Executor(
            store=self.store,
            sandbox=self.sandbox,
            egress=self.egress,
            artefacts=artefacts or MemoryArtefacts(),
            limits=replace(_LIMITS, max_retries=max_retries),
            clock=_now,
            owner="w1",
            is_stopping=lambda: is_stopping,
        )

    async def start(self) -> asyncio.Task[Scan | None]:
        """Begin the attempt and return once its sandbox runs."""
        await self.store.add([self.scan])
        attempt = asyncio.create_task(self.executor.run(self.scan.id))
        while not self.sandbox.runs:  # noqa: ASYNC110 - the scripted sandbox has no event for it
            await asyncio.sleep(0)
        return attempt

    async def once_more(self, max_retries: int) -> Scan:
        """Run the next attempt to its end, with so many retries."""
        limits = replace(_LIMITS, max_retries=max_retries)
        executor = Executor(
            store=self.store,
            sandbox=self.sandbox,
            egress=self.egress,
            artefacts=MemoryArtefacts(),
            limits=limits,
            clock=_now,
            owner="w1",
        )
        await executor.run(self.scan.id)
        return await self.found()

    async def found(self) -> Scan:
        """Return the scan in its present state, after a check of its trail."""
        assert path_faults(await self.store.audit(self.scan.id)) == []
        found = await self.store.get(self.scan.id)
        assert found is not None
        return found


async def test_a_worker_that_is_stopped_hands_its_scan_back() -> None:
    """The sandbox and its socket are closed first; the scan is then due at once."""
    world = _World(takes_s=60)
    attempt = await world.start()
    attempt.cancel()
    await asyncio.wait({attempt})
    assert attempt.cancelled()
    assert (world.sandbox.cancelled, world.egress.closed) == (1, ["r1"])
    scan = await world.found()
    assert (scan.state, scan.outcome) == (State.QUEUED, Outcome.LEASE_LOST)
    assert scan.detail == "The worker was stopped."
    assert scan.run_after <= _now()


async def test_an_attempt_that_is_given_up_is_not_handed_back() -> None:
    """Docker was too slow for RQ's deadline: the rescuer counts it, or it would never end."""
    world = _World(takes_s=60, is_stopping=False)
    attempt = await world.start()
    attempt.cancel()
    await asyncio.wait({attempt})
    assert attempt.cancelled()
    assert (world.sandbox.cancelled, world.egress.closed) == (1, ["r1"])
    scan = await world.found()
    assert (scan.state, scan.lease_owner) == (State.FETCHING, "w1")
    assert scan.lease_until == scan.updated_at + _LIMITS.lease


async def test_a_page_that_was_seen_is_concluded_before_the_worker_stops() -> None:
    """Once the sandbox has ended, stopping waits for the record."""
    artefacts = _SlowArtefacts()
    world = _World(takes_s=0, artefacts=artefacts)
    attempt = await world.start()
    await artefacts.begun.wait()
    attempt.cancel()
    attempt_scan = await attempt
    assert attempt_scan == await world.found()
    assert attempt_scan.state is State.COMPLETED


async def test_a_cancelled_scan_ends_its_sandbox_long_before_its_lease() -> None:
    """The row is looked at about once a second, and nothing is written over the cancellation."""
    world = _World(takes_s=60)
    attempt = await world.start()
    held = await world.found()
    ending = make_ending(held, Outcome.CANCELLED)
    cancelled = await world.store.finish(held, ending, now=_now(), actor="cli")
    async with asyncio.timeout(5):
        assert await attempt is None
    assert world.sandbox.cancelled == 1
    assert await world.found() == cancelled


async def test_a_scan_that_is_cancelled_before_its_record_stays_cancelled() -> None:
    """The sandbox had ended and the page was seen: losing this race is not an error."""

    class Cancelled(MemoryArtefacts):
        """While the artefacts are stored, a person cancels."""

        async def put(self, data: bytes) -> str:
            """Store the bytes, and let the scan be cancelled meanwhile."""
            held = await world.found()
            ending = make_ending(held, Outcome.CANCELLED)
            assert await world.store.finish(held, ending, now=_now(), actor="cli")
            return await super().put(data)

    world = _World(takes_s=0, artefacts=Cancelled())

    assert await (await world.start()) is None
    scan = await world.found()
    assert (scan.state, scan.outcome) == (State.FAILED, Outcome.CANCELLED)
    assert await world.store.evidence(scan.id) is None


async def test_handing_back_uses_up_no_retry() -> None:
    """An attempt that was stopped with its worker has not failed."""
    world = _World(takes_s=60)
    attempt = await world.start()
    attempt.cancel()
    await asyncio.wait({attempt})
    world.sandbox.takes_s = 0
    world.egress.lost_at = "create"
    put_off = await world.once_more(max_retries=1)
    assert (put_off.state, put_off.attempt) == (State.QUEUED, 2)


async def test_a_disk_without_room_puts_the_scan_off() -> None:
    """A full disk does not depend on the page, and there may be space later."""

    class Full(MemoryArtefacts):
        async def put(self, data: bytes) -> str:
            """Fail."""
            raise StoreUnavailableError(f"There is no room for {len(data)} bytes.")

    world = _World(takes_s=0, artefacts=Full(), max_retries=1)
    await (await world.start())
    scan = await world.found()
    assert (scan.state, scan.outcome) == (State.QUEUED, Outcome.SANDBOX_UNAVAILABLE)
    assert scan.detail == "There is no room for 5 bytes."
    assert scan.run_after > _now()
