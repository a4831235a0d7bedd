"""The rescuer with faults: a new leader, a busy store, clocks that differ."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import pytest

from safeurl.adapters.memory.queue import MemoryQueue
from safeurl.adapters.memory.store import MemoryStore
from safeurl.errors import QueueUnavailableError, StoreBusyError
from safeurl.model.attempt import Attempt, FinalRecord
from safeurl.model.report import Evidence
from safeurl.model.scan import Scan
from safeurl.ports.queue import Waiting
from safeurl.state import Outcome, State
from tests.support.builders import analysed
from tests.support.rescue import LEASE, World
from worker.attempt.resume import EVENT
from worker.leader.rescuer import PUSH_GRACE

EVIDENCE = msgspec.json.encode(Evidence()).decode()


@pytest.mark.parametrize("left", [State.FETCHING, State.ANALYZING])
async def test_a_deposed_leader_leaves_no_trace(left: State) -> None:
    """It writes neither an end nor a note, which would keep the next leader from concluding it."""
    world = World(max_retries=0)
    claimed = await world.claim(await world.add())
    if left is State.ANALYZING:
        await analysed(world.store, claimed, EVIDENCE, at=world.now)
    old = await world.lead()
    world.now += 2 * LEASE
    new = await world.lead("other")
    trail = await world.store.audit(claimed.id)
    assert await world.rescuer.sweep(old) == (0, 0)
    assert await world.store.audit(claimed.id) == trail
    assert (await world.found(claimed)).state is left
    assert await world.make_rescuer("other", 0).sweep(new) == (1, 0)
    ended = State.FAILED if left is State.FETCHING else State.COMPLETED
    assert (await world.found(claimed)).state is ended


async def test_what_was_judged_and_could_not_be_recorded_is_judged_again() -> None:
    """It was the database that failed, not the evidence: the page is not fetched anew."""

    class Busy(MemoryStore):
        """Is locked at the first end."""

        locked = True

        async def finish(
            self,
            scan: Scan,
            ending: FinalRecord,
            *,
            now: datetime,
            actor: str,
            term: int | None = None,
        ) -> Scan | None:
            if self.locked:
                self.locked = False
                raise StoreBusyError("The database is locked.")
            return await super().finish(scan, ending, now=now, actor=actor, term=term)

    world = World(store=Busy())
    claimed = await world.claim(await world.add())
    await analysed(world.store, claimed, EVIDENCE, at=world.now)
    world.ended.add("w1")
    with pytest.raises(StoreBusyError):
        await world.rescuer.sweep(None)
    assert await world.rescuer.sweep(None) == (1, 0)
    assert (await world.found(claimed)).state is State.COMPLETED
    assert await world.queue.waiting(limit=100) == Waiting()


async def test_an_attempt_that_was_judged_in_vain_says_nothing_of_the_next() -> None:
    """If judging failed, the page is fetched again, and its new evidence is judged once too."""
    world = World()
    world.ended.add("w1")
    scan = await world.add()
    moved = await analysed(world.store, await world.claim(scan), EVIDENCE, at=world.now)
    assert moved is not None
    await world.store.append_audit(moved, event=EVENT, detail="", now=world.now, actor="r0")
    assert await world.rescuer.sweep(None) == (1, 0)
    await analysed(world.store, await world.claim(scan), EVIDENCE, at=world.now)
    assert await world.rescuer.sweep(None) == (1, 0)
    found = await world.found(scan)
    assert (found.state, found.attempt) == (State.COMPLETED, 2)


async def test_a_busy_database_ends_the_sweep() -> None:
    """To retry for each scan would take hours; the next sweep starts again."""

    class Busy(MemoryStore):
        """A store that is locked whenever attempts are read."""

        asked = 0

        async def attempts(self, scan_id: str) -> list[Attempt]:
            self.asked += 1
            raise StoreBusyError(f"The database is locked: {scan_id}.")

    store = Busy()
    world = World(store=store)
    world.ended.add("w1")
    for _ in range(3):
        await world.claim(await world.add())
    with pytest.raises(StoreBusyError):
        await world.rescuer.sweep(None)
    assert store.asked == 1


async def test_a_queue_that_is_away_keeps_no_scan_from_being_taken_back() -> None:
    """The scan is QUEUED without a wake-up, and the leader pushes it once the queue is back."""

    class Away(MemoryQueue):
        """A queue that accepts nothing."""

        async def push(self, scan_ids: Sequence[str], *, first: bool = False) -> None:
            raise QueueUnavailableError(f"Redis does not answer: {scan_ids} {first}")

    world = World()
    world.queue, back = Away(), world.queue
    away = world.make_rescuer("r", 3)
    world.ended.add("w1")
    scan = await world.claim(await world.add())
    assert await away.sweep(None) == (1, 0)
    await away.reap()
    assert world.reaped == [(scan.id, 1)]
    world.queue = back
    world.now += 2 * PUSH_GRACE
    await world.rescuer.sweep(1)
    assert await world.rescuer.sweep(1) == (0, 1)
    assert (await back.waiting(limit=100)).scan_ids == {scan.id}


async def test_a_worker_whose_clock_is_ahead_keeps_its_scan_while_it_renews() -> None:
    """Its leases all end later than any could that is given here; only the last one runs out."""
    world = World()
    held = await world.claim(await world.add())
    await world.lead()
    ahead = world.now + timedelta(hours=1)
    for number in range(5):
        until = ahead + number * LEASE / 3
        assert await world.store.renew_lease(held, lease_until=until)
        assert await world.rescuer.sweep(1) == (0, 0)
        world.seconds += LEASE.total_seconds() - 1
        assert await world.rescuer.sweep(1) == (0, 0)
    world.seconds += 1
    assert await world.rescuer.sweep(1) == (1, 0)


async def test_a_scan_that_was_tried_goes_before_what_was_just_handed_in() -> None:
    """Many new scans during its pause do not delay it."""
    world = World()
    tried = await world.add()
    await world.store.requeue(
        await world.claim(tried),
        outcome=Outcome.SANDBOX_UNAVAILABLE,
        detail=None,
        run_after=world.now,
        now=world.now,
        actor="w1",
    )
    world.now += PUSH_GRACE
    fresh = await world.add()
    await world.queue.push([fresh.id])
    assert await world.rescuer.sweep(1) == (0, 0)
    assert await world.rescuer.sweep(1) == (0, 1)
    assert list(world.queue.ids) == [tried.id, fresh.id]


async def test_a_wake_up_is_missed_twice_in_a_row() -> None:
    """One that was seen in between was taken by a worker that is about to claim."""
    world = World()
    scan = await world.add()
    world.now += PUSH_GRACE
    assert await world.rescuer.sweep(1) == (0, 0)
    await world.queue.push([scan.id])
    assert await world.rescuer.sweep(1) == (0, 0)
    world.queue.ids.clear()
    for _ in range(2):  # the scan that was just pushed may be claimed too
        assert await world.rescuer.sweep(1) == (0, 0)
        assert await world.rescuer.sweep(1) == (0, 1)
        world.queue.ids.clear()
