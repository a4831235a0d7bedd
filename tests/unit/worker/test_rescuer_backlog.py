"""The rescuer with a long queue: a sweep costs as much as with a short one."""

from datetime import datetime, timedelta

import pytest

from safeurl.adapters.memory.queue import MemoryQueue
from safeurl.adapters.memory.store import MemoryStore
from safeurl.errors import (
    RowRefusedError,
    RowUnreadableError,
    SafeURLError,
    StoreBusyError,
    StoreFullError,
    StoreUnavailableError,
)
from safeurl.model.attempt import Attempt
from safeurl.model.scan import Scan
from safeurl.ports.backlog import Unreadable, ignore
from safeurl.ports.queue import Waiting
from safeurl.state import Outcome
from tests.support.rescue import LEASE, World
from worker.leader.rescuer import LOOK_LIMIT, PUSH_GRACE, QUEUE_FACTOR, SWEEP_LIMIT

#: More than is looked at of the queue in any sweep.
_MANY = QUEUE_FACTOR * SWEEP_LIMIT + 10


class _Store(MemoryStore):
    """A store that records how many scans were requested."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: list[int] = []

    async def due(
        self, *, now: datetime, limit: int, on_unreadable: Unreadable = ignore
    ) -> list[Scan]:
        self.limits.append(limit)
        return await super().due(now=now, limit=limit, on_unreadable=on_unreadable)


class _Queue(MemoryQueue):
    """Notes how far it was read."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: list[int] = []

    async def waiting(self, *, limit: int) -> Waiting:
        self.limits.append(limit)
        return await super().waiting(limit=limit)


async def _world(scans: int) -> tuple[World, _Store, _Queue, list[str]]:
    store, queue = _Store(), _Queue()
    world = World(store=store)
    world.queue = queue
    world.rescuer = world.make_rescuer("r", 3)
    ids = sorted([(await world.add()).id for _ in range(scans)])
    world.now += PUSH_GRACE
    return world, store, queue, ids


@pytest.mark.parametrize("scans", [1, LOOK_LIMIT, _MANY])
async def test_of_a_backlog_with_wake_ups_the_front_is_looked_at(scans: int) -> None:
    """However many wait, and however often."""
    world, store, queue, ids = await _world(scans)
    await queue.push(ids)
    for _ in range(3):
        assert await world.rescuer.sweep(1) == (0, 0)
    assert store.limits == [LOOK_LIMIT] * 3
    assert queue.limits == [QUEUE_FACTOR * LOOK_LIMIT] * 3


async def test_a_backlog_that_was_flushed_is_pushed_in_its_order() -> None:
    """Many at a time, until none is missing; then the front alone is looked at again."""
    world, store, queue, ids = await _world(SWEEP_LIMIT + 5)
    assert await world.rescuer.sweep(1) == (0, 0)
    assert await world.rescuer.sweep(1) == (0, SWEEP_LIMIT)
    assert list(queue.ids) == ids[:SWEEP_LIMIT]
    store.limits.clear()
    assert await world.rescuer.sweep(1) == (0, 0)
    assert store.limits == [LOOK_LIMIT]


@pytest.mark.parametrize("lost", [1, 20, LOOK_LIMIT, SWEEP_LIMIT])
async def test_what_no_look_finds_is_pushed_once(lost: int) -> None:
    """Stale jobs, a flood or clocks that differ hide a wake-up: it is not multiplied."""
    world, _, queue, ids = await _world(lost)
    await queue.push([f"stale {number}" for number in range(_MANY)])
    await queue.push(ids)
    await world.rescuer.sweep(1)
    assert await world.rescuer.sweep(1) == (0, lost)
    assert list(queue.ids)[:lost] == ids
    for _ in range(4):
        assert await world.rescuer.sweep(1) == (0, 0)


async def test_single_losses_within_a_backlog_are_pushed_when_their_turn_is_near() -> None:
    """They are pushed before those that came later, although the rest of the queue is not read."""
    world, _, queue, ids = await _world(_MANY)
    lost = ids[3:LOOK_LIMIT:10]
    await queue.push([scan_id for scan_id in ids if scan_id not in lost])
    await world.rescuer.sweep(1)
    assert await world.rescuer.sweep(1) == (0, len(lost))
    assert list(queue.ids)[: len(lost)] == lost
    assert await world.rescuer.sweep(1) == (0, 0)


async def test_leases_that_are_gone_are_forgotten() -> None:
    """Facts about a lease that ends too late do not apply to the next lease, even an equal one."""
    world, _, _, _ = await _world(0)
    scan, until = await world.add(), world.now + timedelta(hours=1)
    held = await world.store.claim(scan.id, owner="w1", now=world.now, lease_until=until)
    assert held is not None
    await world.lead()
    assert await world.rescuer.sweep(1) == (0, 0)
    await world.store.requeue(
        held,
        outcome=Outcome.SANDBOX_UNAVAILABLE,
        detail=None,
        run_after=world.now,
        now=world.now,
        actor="w1",
    )
    assert await world.rescuer.sweep(1) == (0, 0)
    assert await world.store.claim(scan.id, owner="w2", now=world.now, lease_until=until)
    world.seconds += LEASE.total_seconds() + 1
    assert await world.rescuer.sweep(1) == (0, 0)
    world.seconds += LEASE.total_seconds() + 1
    assert await world.rescuer.sweep(1) == (1, 0)


@pytest.mark.parametrize(
    ("fault", "is_the_rows"),
    [
        (RowRefusedError("A CHECK refused it."), True),
        (RowUnreadableError("It is damaged."), True),
        (StoreUnavailableError("Something else is wrong with it."), True),
        (StoreFullError("The disk is full."), False),
        (StoreBusyError("It is locked."), False),
    ],
)
async def test_one_scans_fault_is_told_from_the_databases(
    fault: SafeURLError, *, is_the_rows: bool
) -> None:
    """The first is passed over and the others are rescued; the second ends the sweep."""

    class Faulty(MemoryStore):
        """Cannot requeue one of the scans."""

        broken = ""

        async def attempts(self, scan_id: str) -> list[Attempt]:
            if scan_id == self.broken:
                raise fault
            return await super().attempts(scan_id)

    store = Faulty()
    world = World(store=store)
    first, second = await world.add(), await world.add()
    await world.claim(first)
    store.broken = first.id
    await world.lose(second)
    if is_the_rows:
        assert await world.rescuer.sweep(1) == (1, 0)
        return
    with pytest.raises(type(fault)):
        await world.rescuer.sweep(1)
