"""The rescuer's two sweeps, over the memory store and queue."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import msgspec
import pytest

from safeurl.adapters.memory.store import MemoryStore
from safeurl.errors import SandboxUnavailableError, StoreUnavailableError
from safeurl.model.attempt import Attempt
from safeurl.model.audit import path_faults
from safeurl.model.report import Evidence, Hop
from safeurl.ports.queue import Waiting
from safeurl.state import Outcome, State
from tests.support.builders import analysed
from tests.support.rescue import LEASE, World
from worker.leader.rescuer import PUSH_GRACE

EVIDENCE = msgspec.json.encode(
    Evidence(hops=(Hop(url="https://example.com/", status=200, http_version="1.1"),))
).decode()


async def test_a_scan_nobody_was_told_of_is_pushed() -> None:
    """A QUEUED row without a wake-up is pushed once it was missed twice, and only once."""
    world = World()
    scan = await world.add()
    assert await world.rescuer.sweep(1) == (0, 0)
    world.now += PUSH_GRACE
    assert await world.rescuer.sweep(1) == (0, 0)
    assert await world.rescuer.sweep(1) == (0, 1)
    assert (await world.queue.waiting(limit=100)).scan_ids == {scan.id}
    assert await world.rescuer.sweep(1) == (0, 0)


async def test_a_lost_scan_goes_before_those_that_wait() -> None:
    """It was submitted before them; the same is true for one that comes back without a wake-up."""
    world = World()
    lost, handed_back = await world.add(), await world.add()
    waiting = await world.add()
    await world.queue.push([waiting.id])
    await world.store.requeue(
        await world.claim(handed_back),
        outcome=Outcome.LEASE_LOST,
        detail=None,
        run_after=world.now + LEASE + 2 * PUSH_GRACE,
        now=world.now,
        actor="w1",
    )
    await world.lose(lost)
    assert await world.rescuer.sweep(1) == (1, 0)
    assert list(world.queue.ids) == [lost.id, waiting.id]
    world.now += 3 * PUSH_GRACE
    assert await world.rescuer.sweep(1) == (0, 0)
    assert await world.rescuer.sweep(1) == (0, 1)
    assert list(world.queue.ids) == [handed_back.id, lost.id, waiting.id]


async def test_a_wake_up_that_is_lost_costs_no_turn() -> None:
    """If a worker is lost between wake-up and claim, its scan runs before those that came later."""
    world = World()
    first = await world.add()
    world.now += PUSH_GRACE
    waiting = await world.add()
    world.now += PUSH_GRACE
    last = await world.add()
    world.now += PUSH_GRACE
    await world.queue.push([waiting.id])
    assert await world.rescuer.sweep(1) == (0, 0)
    assert await world.rescuer.sweep(1) == (0, 2)
    assert list(world.queue.ids) == [first.id, waiting.id, last.id]


async def test_a_lost_scan_goes_back_to_the_queue_at_once() -> None:
    """A scan whose lease ran out is QUEUED again without a pause."""
    world = World()
    scan = await world.add()
    await world.lose(scan)
    assert (await world.rescuer.sweep(1))[0] == 1
    found = await world.store.get(scan.id)
    assert found is not None
    assert (found.state, found.outcome) == (State.QUEUED, Outcome.LEASE_LOST)
    assert found.run_after == world.now
    assert (await world.queue.waiting(limit=100)).scan_ids == {scan.id}


async def test_a_docker_that_hangs_holds_up_no_scan() -> None:
    """Every scan is taken back, woken and pushed while the removal of a container hangs."""
    world = World()
    asked, answer = asyncio.Event(), asyncio.Event()

    async def hang(_scan_id: str, _attempt: int) -> bool:
        asked.set()
        await answer.wait()
        raise SandboxUnavailableError("No engine.")

    rescuer = world.make_rescuer("r", 3, reap=hang)
    world.ended.add("w1")
    first, second = await world.add(), await world.add()
    await world.claim(first)
    await world.claim(second)
    await world.lead()
    assert await rescuer.sweep(1) == (2, 0)
    reaping = asyncio.create_task(rescuer.reap())
    async with asyncio.timeout(5):
        await asked.wait()
    third, forgotten = await world.add(), await world.add()
    await world.claim(third)
    world.now += PUSH_GRACE + timedelta(seconds=1)
    assert await rescuer.sweep(1) == (1, 0)
    assert await rescuer.sweep(1) == (0, 1)
    assert (await world.queue.waiting(limit=100)).scan_ids == {
        first.id,
        second.id,
        third.id,
        forgotten.id,
    }
    answer.set()
    await reaping


@pytest.mark.parametrize("failure", [SandboxUnavailableError("Busy."), asyncio.CancelledError()])
async def test_a_removal_that_was_not_made_is_tried_again(failure: BaseException) -> None:
    """The engine refuses it once, or the worker stops in its middle: the next run removes it."""
    world = World()
    asked: list[str] = []

    async def fail_once(scan_id: str, _attempt: int) -> bool:
        asked.append(scan_id)
        if len(asked) == 1:
            raise failure
        return True

    rescuer = world.make_rescuer("r", 3, reap=fail_once)
    world.ended.add("w1")
    scans = [await world.claim(await world.add()) for _ in range(2)]
    await world.lead()
    await rescuer.sweep(1)
    with suppress(asyncio.CancelledError):
        await rescuer.reap()
    await rescuer.reap()
    assert set(asked[1:]) == {scan.id for scan in scans}
    await rescuer.reap()
    assert len(asked) == 3


async def test_a_renewal_during_a_sweep_keeps_the_scan() -> None:
    """Time that goes by while others are taken back ends no lease that was renewed meanwhile."""

    class Slow(MemoryStore):
        """Needs the time of a lease to read attempts; a running worker renews its own meanwhile."""

        async def attempts(self, scan_id: str) -> list[Attempt]:
            world.now += LEASE
            assert await self.renew_lease(world.living, lease_until=world.now + LEASE)
            return await super().attempts(scan_id)

    world = World(store=Slow())

    await world.claim(await world.add())
    world.now += LEASE
    world.living = await world.claim(await world.add())
    await world.lead()
    assert await world.rescuer.sweep(1) == (1, 0)
    found = await world.found(world.living)
    assert (found.state, found.version) == (State.FETCHING, world.living.version)


async def test_a_trail_that_cannot_be_read_holds_up_no_other() -> None:
    """The scan of a tampered trail stays unchanged; those after it are rescued and pushed."""

    class Tampered(MemoryStore):
        """A store with attempts that cannot be read."""

        broken_trail = ""

        async def attempts(self, scan_id: str) -> list[Attempt]:
            if scan_id == self.broken_trail:
                raise StoreUnavailableError("The database holds a row that nobody can read.")
            return await super().attempts(scan_id)

    store = Tampered()
    world = World(store=store)
    broken, lost = await world.add(), await world.add()
    await world.claim(broken)
    store.broken_trail = broken.id
    world.now += timedelta(seconds=1)
    await world.lose(lost)
    forgotten = await world.add()
    world.now += PUSH_GRACE + timedelta(seconds=1)
    assert await world.rescuer.sweep(1) == (1, 0)
    assert await world.rescuer.sweep(1) == (0, 1)
    assert (await world.found(broken)).state is State.FETCHING
    assert (await world.queue.waiting(limit=100)).scan_ids == {lost.id, forgotten.id}


async def test_a_living_lease_is_left_alone() -> None:
    """A worker with a valid lease keeps its scan."""
    world = World()
    scan = await world.add()
    until = world.now + timedelta(seconds=30)
    await world.store.claim(scan.id, owner="w1", now=world.now, lease_until=until)
    world.now += timedelta(seconds=29)
    assert await world.rescuer.sweep(1) == (0, 0)


async def test_past_the_retries_a_lost_scan_fails() -> None:
    """The last attempt's loss ends the scan FAILED, with one result and a legal trail."""
    world = World(max_retries=1)
    scan = await world.add()
    for _ in range(2):
        await world.lose(scan)
        assert (await world.rescuer.sweep(1))[0] == 1
    found = await world.store.get(scan.id)
    assert found is not None
    assert (found.state, found.outcome, found.attempt) == (
        State.FAILED,
        Outcome.LEASE_LOST,
        2,
    )
    assert await world.store.result(scan.id) is not None
    assert path_faults(await world.store.audit(scan.id)) == []


async def test_two_rescuers_take_a_scan_back_once() -> None:
    """Rescuers on two hosts may sweep at once: the guarded write has one winner."""
    world = World()
    scan = await world.add()
    await world.lose(scan)
    other = world.make_rescuer("r2", 3)
    swept = await asyncio.gather(world.rescuer.sweep(1), other.sweep(1))
    assert sum(rescued for rescued, _ in swept) == 1


async def test_a_deposed_leader_takes_nothing_back() -> None:
    """Its write carries a term that is not the newest any more, so the database refuses it."""
    world = World()
    scan = await world.add()
    await world.lose(scan)
    old = await world.lead()
    world.now += 2 * LEASE
    new = await world.lead("other")
    assert new == old + 1
    assert await world.rescuer.sweep(old) == (0, 0)
    assert (await world.found(scan)).state is State.FETCHING
    assert (await world.rescuer.sweep(new))[0] == 1
    assert (await world.store.audit(scan.id))[-1].actor == f"r term {new}"


async def test_a_process_that_ended_here_is_not_waited_for() -> None:
    """Its scan goes back long before the end of the lease, without a leader; other leases stay."""
    world = World()
    scan = await world.add()
    await world.claim(scan)
    assert await world.rescuer.sweep(None) == (0, 0)
    world.ended.add("w1")
    assert await world.rescuer.sweep(None) == (1, 0)
    assert (await world.found(scan)).state is State.QUEUED
    assert (await world.queue.waiting(limit=100)).scan_ids == {scan.id}
    await world.rescuer.reap()
    await world.rescuer.reap()
    assert world.reaped == [(scan.id, 1)]


async def test_without_a_term_only_this_hosts_scans_are_taken_back() -> None:
    """Only the leader takes back expired leases of other hosts and pushes wake-ups again."""
    world = World()
    await world.lose(await world.add())
    await world.add()
    world.now += PUSH_GRACE + timedelta(seconds=1)
    assert await world.rescuer.sweep(None) == (0, 0)
    assert await world.rescuer.sweep(None) == (0, 0)


async def test_what_was_analysed_is_concluded_not_fetched_again() -> None:
    """The stored evidence is judged, the scan is COMPLETED under the attempt that saw the page."""
    world = World()
    scan = await world.add()
    claimed = await world.claim(scan)
    await analysed(world.store, claimed, EVIDENCE, at=world.now)
    world.ended.add("w1")
    assert await world.rescuer.sweep(None) == (1, 0)
    found = await world.found(scan)
    assert (found.state, found.outcome, found.attempt) == (State.COMPLETED, Outcome.OK, 1)
    result = await world.store.result(scan.id)
    assert result is not None
    assert (result.http_status, result.attempt) == (200, 1)
    assert await world.queue.waiting(limit=100) == Waiting()
    assert path_faults(await world.store.audit(scan.id)) == []


async def test_evidence_that_ends_its_judge_is_judged_once() -> None:
    """If a rescuer has begun to conclude a scan and did not end, the page is fetched again."""
    world = World()
    scan = await world.add()
    moved = await analysed(world.store, await world.claim(scan), EVIDENCE, at=world.now)
    assert moved is not None
    await world.store.append_audit(moved, event="concluding", detail="", now=world.now, actor="r0")
    world.ended.add("w1")
    assert await world.rescuer.sweep(None) == (1, 0)
    assert (await world.found(scan)).state is State.QUEUED


async def test_evidence_of_another_version_is_fetched_again() -> None:
    """Evidence that this version cannot read gives no verdict."""
    world = World()
    scan = await world.add()
    await analysed(world.store, await world.claim(scan), '{"n": 1}', at=world.now)
    world.ended.add("w1")
    assert await world.rescuer.sweep(None) == (1, 0)
    assert (await world.found(scan)).state is State.QUEUED


async def test_a_lease_from_before_the_clock_was_set_back_runs_out() -> None:
    """It gets one complete lease, by a monotonic clock, in which it can be renewed."""
    world = World()
    scan = await world.add()
    await world.claim(scan)
    world.now -= timedelta(hours=1)
    await world.lead()
    assert await world.rescuer.sweep(1) == (0, 0)
    world.seconds += LEASE.total_seconds() - 1
    assert await world.rescuer.sweep(1) == (0, 0)
    world.seconds += 1
    assert (await world.rescuer.sweep(1))[0] == 1


async def test_a_living_worker_survives_a_clock_that_was_set_back() -> None:
    """It renews its lease by the new clock, and keeps its scan."""
    world = World()
    claimed = await world.claim(await world.add())
    world.now -= timedelta(hours=1)
    await world.lead()
    assert await world.rescuer.sweep(1) == (0, 0)
    assert await world.store.renew_lease(claimed, lease_until=world.now + LEASE)
    world.seconds += 2 * LEASE.total_seconds()
    assert await world.rescuer.sweep(1) == (0, 0)
