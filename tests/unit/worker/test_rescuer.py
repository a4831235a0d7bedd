"""The rescuer's two sweeps, over the memory store and queue."""

import asyncio
from datetime import UTC, datetime, timedelta

from safeurl.adapters.memory import MemoryQueue, MemoryStore
from safeurl.audit import path_faults
from safeurl.errors import SandboxUnavailableError
from safeurl.report import Profile
from safeurl.scan import Scan, new_scan_id
from safeurl.state import Outcome, State
from worker.rescuer import PUSH_GRACE, Rescuer

START = datetime(2026, 1, 1, tzinfo=UTC)


class _World:
    """A store, a queue, a clock that is set by hand, and a rescuer over them."""

    def __init__(self, max_retries: int = 3) -> None:
        self.now = START
        self.store = MemoryStore()
        self.queue = MemoryQueue()
        self.reaped: list[tuple[str, int]] = []
        self.rescuer = self.make_rescuer("r", max_retries)

    def make_rescuer(self, actor: str, max_retries: int) -> Rescuer:
        """Return a rescuer over this world's parts."""
        return Rescuer(
            self.store,
            self.queue,
            clock=lambda: self.now,
            actor=actor,
            max_retries=max_retries,
            reap=self._reap,
        )

    async def _reap(self, scan_id: str, attempt: int) -> bool:
        self.reaped.append((scan_id, attempt))
        return True

    async def add(self) -> Scan:
        """Record a scan without waking anybody."""
        scan = Scan(
            id=new_scan_id(self.now),
            url="https://example.com/",
            submitted_url="https://example.com/",
            profile=Profile.HTTP,
            state=State.QUEUED,
            version=0,
            attempt=0,
            source="test",
            created_at=self.now,
            updated_at=self.now,
            run_after=self.now,
        )
        await self.store.add([scan])
        return scan

    async def lose(self, scan: Scan) -> None:
        """Claim the scan and let the lease run out."""
        until = self.now + timedelta(seconds=30)
        assert await self.store.claim(scan.id, owner="w1", now=self.now, lease_until=until)
        self.now = until + timedelta(seconds=1)


def test_a_scan_nobody_was_told_of_is_pushed() -> None:
    """A QUEUED row without a wake-up is pushed once the grace is over, and only once."""

    async def act() -> None:
        world = _World()
        scan = await world.add()
        assert await world.rescuer.sweep() == (0, 0)
        world.now += PUSH_GRACE + timedelta(seconds=1)
        assert await world.rescuer.sweep() == (0, 1)
        assert await world.queue.waiting() == {scan.id}
        assert await world.rescuer.sweep() == (0, 0)

    asyncio.run(act())


def test_a_lost_scan_goes_back_to_the_queue_at_once() -> None:
    """A scan whose lease ran out is QUEUED again without a pause."""

    async def act() -> None:
        world = _World()
        scan = await world.add()
        await world.lose(scan)
        assert (await world.rescuer.sweep())[0] == 1
        found = await world.store.get(scan.id)
        assert found is not None
        assert (found.state, found.outcome) == (State.QUEUED, Outcome.LEASE_LOST)
        assert found.run_after == world.now
        assert world.reaped == [(scan.id, 1)]

    asyncio.run(act())


def test_a_docker_that_is_away_holds_up_no_scan() -> None:
    """Containers that cannot be removed now are the reaper's; every scan is taken back."""

    async def fail(_scan_id: str, _attempt: int) -> bool:
        raise SandboxUnavailableError("No engine.")

    async def act() -> None:
        world = _World()
        lost = await world.add()
        await world.lose(lost)
        forgotten = await world.add()
        world.now += PUSH_GRACE + timedelta(seconds=1)
        rescuer = Rescuer(
            world.store,
            world.queue,
            clock=lambda: world.now,
            actor="r",
            max_retries=3,
            reap=fail,
        )
        assert await rescuer.sweep() == (1, 1)
        assert await world.queue.waiting() == {forgotten.id}

    asyncio.run(act())


def test_a_living_lease_is_left_alone() -> None:
    """Nothing is taken from a worker that holds its lease."""

    async def act() -> None:
        world = _World()
        scan = await world.add()
        until = world.now + timedelta(seconds=30)
        await world.store.claim(scan.id, owner="w1", now=world.now, lease_until=until)
        world.now += timedelta(seconds=29)
        assert await world.rescuer.sweep() == (0, 0)

    asyncio.run(act())


def test_past_the_retries_a_lost_scan_fails() -> None:
    """The last attempt's loss ends the scan FAILED, with one result and a legal trail."""

    async def act() -> None:
        world = _World(max_retries=1)
        scan = await world.add()
        for _ in range(2):
            await world.lose(scan)
            assert (await world.rescuer.sweep())[0] == 1
        found = await world.store.get(scan.id)
        assert found is not None
        assert (found.state, found.outcome, found.attempt) == (
            State.FAILED,
            Outcome.LEASE_LOST,
            2,
        )
        assert await world.store.result(scan.id) is not None
        assert path_faults(await world.store.audit(scan.id)) == []

    asyncio.run(act())


def test_two_rescuers_take_a_scan_back_once() -> None:
    """Rescuers on two hosts may sweep at once: the guarded write has one winner."""

    async def act() -> None:
        world = _World()
        scan = await world.add()
        await world.lose(scan)
        other = world.make_rescuer("r2", 3)
        swept = await asyncio.gather(world.rescuer.sweep(), other.sweep())
        assert sum(rescued for rescued, _ in swept) == 1

    asyncio.run(act())
