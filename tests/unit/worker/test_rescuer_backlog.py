"""The rescuer beside a long queue: its turn costs what it costs beside a short one."""

import asyncio
from datetime import datetime

import pytest

from safeurl.adapters.memory import MemoryQueue, MemoryStore
from safeurl.ports import Waiting
from safeurl.scan import Scan
from tests.support.rescue import World
from worker.rescuer import LOOK_LIMIT, PUSH_GRACE, QUEUE_FACTOR, SWEEP_LIMIT

#: More than is looked at of the queue in any sweep.
_MANY = QUEUE_FACTOR * SWEEP_LIMIT + 10


class _Store(MemoryStore):
    """Notes how many scans it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.limits: list[int] = []

    async def due(self, *, now: datetime, limit: int) -> list[Scan]:
        self.limits.append(limit)
        return await super().due(now=now, limit=limit)


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
def test_of_a_backlog_with_wake_ups_the_front_is_looked_at(scans: int) -> None:
    """However many wait, and however often."""

    async def act() -> None:
        world, store, queue, ids = await _world(scans)
        await queue.push(ids)
        for _ in range(3):
            assert await world.rescuer.sweep(1) == (0, 0)
        assert store.limits == [LOOK_LIMIT] * 3
        assert queue.limits == [QUEUE_FACTOR * LOOK_LIMIT] * 3

    asyncio.run(act())


def test_a_backlog_that_was_flushed_is_pushed_in_its_order() -> None:
    """Many at a time, until none is missing; then the front alone is looked at again."""

    async def act() -> None:
        world, store, queue, ids = await _world(SWEEP_LIMIT + 5)
        assert await world.rescuer.sweep(1) == (0, 0)
        assert await world.rescuer.sweep(1) == (0, SWEEP_LIMIT)
        assert list(queue.ids) == ids[:SWEEP_LIMIT]
        store.limits.clear()
        assert await world.rescuer.sweep(1) == (0, 0)
        assert store.limits == [LOOK_LIMIT]

    asyncio.run(act())


@pytest.mark.parametrize("lost", [1, 20, LOOK_LIMIT, SWEEP_LIMIT])
def test_what_no_look_finds_is_pushed_once(lost: int) -> None:
    """Stale jobs, a flood or clocks that differ hide a wake-up: it is not multiplied."""

    async def act() -> None:
        world, _, queue, ids = await _world(lost)
        await queue.push([f"stale {number}" for number in range(_MANY)])
        await queue.push(ids)
        await world.rescuer.sweep(1)
        assert await world.rescuer.sweep(1) == (0, lost)
        assert list(queue.ids)[:lost] == ids
        for _ in range(4):
            assert await world.rescuer.sweep(1) == (0, 0)

    asyncio.run(act())


def test_single_losses_within_a_backlog_are_pushed_when_their_turn_is_near() -> None:
    """Before those that came later, though the rest of the queue is not read."""

    async def act() -> None:
        world, _, queue, ids = await _world(_MANY)
        lost = ids[3:LOOK_LIMIT:10]
        await queue.push([scan_id for scan_id in ids if scan_id not in lost])
        await world.rescuer.sweep(1)
        assert await world.rescuer.sweep(1) == (0, len(lost))
        assert list(queue.ids)[: len(lost)] == lost
        assert await world.rescuer.sweep(1) == (0, 0)

    asyncio.run(act())
