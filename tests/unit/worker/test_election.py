"""A candidate leads while the store confirms it, and not longer than its term."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from safeurl.adapters.memory.store import MemoryStore
from safeurl.errors import StoreUnavailableError
from safeurl.model.scan import LeaderTerm
from safeurl.ports.clock import CLOCK_SKEW
from worker.identity import owner_name, process_name
from worker.leader.election import Candidate, leader_lease

LEASE = timedelta(seconds=10)


class _World:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        #: What a monotonic clock shows.
        self.seconds = 1000.0
        self.store = MemoryStore()
        #: Those whose process is known to have ended.
        self.ended: set[str] = set()

    def candidate(
        self, holder: str, lease: timedelta = LEASE, request_s: float = 30.0
    ) -> Candidate:
        """Return a candidate over this store, by these clocks."""
        return Candidate(
            self.store,
            holder,
            lease=lease,
            clock=lambda: self.now,
            has_ended=lambda name: name in self.ended,
            monotonic=lambda: self.seconds,
            request_s=request_s,
        )

    def wait(self, seconds: float) -> None:
        """Advance both clocks."""
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds


@pytest.fixture
def killed() -> str:
    """Return the name of a process that was killed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        name = process_name(process.pid)
        process.kill()
    return name


async def test_of_two_candidates_one_leads() -> None:
    """The other follows once the first has resigned, with the next number."""
    world = _World()
    a, b = world.candidate("a"), world.candidate("b")
    await a.stand()
    await b.stand()
    assert [a.term, b.term] == [1, None]
    await b.resign()
    await a.resign()
    assert a.term is None
    world.now += timedelta(seconds=1)
    await b.stand()
    assert b.term == 2


async def test_a_leader_steps_aside_for_seconds_however_long_its_terms_are() -> None:
    """If no other host exists, nobody would lead for the length of a term."""
    world = _World()
    a = world.candidate("a", timedelta(minutes=12))
    await a.stand()
    await a.step_aside()
    world.wait(9)
    await a.stand()
    assert a.term is None
    world.wait(2)
    await a.stand()
    assert a.term == 1


async def test_a_leader_that_steps_aside_is_followed_by_another() -> None:
    """The other host leads at once; the first is a candidate again after the time of a term."""
    world = _World()
    a, b = world.candidate("a"), world.candidate("b")
    await a.stand()
    await a.step_aside()
    assert a.term is None
    world.wait(1)
    await a.stand()
    assert a.term is None
    await b.stand()
    assert b.term == 2
    await b.step_aside()
    world.wait(LEASE.total_seconds())
    await a.stand()
    assert a.term == 3


async def test_a_late_request_deposes_nobody() -> None:
    """By its old `now`, the term that another began meanwhile would be longer than any can be."""

    class Slow(MemoryStore):
        """Answers the holder `a` only once `answer` is set."""

        def __init__(self) -> None:
            super().__init__()
            self.answer = asyncio.Event()

        async def lead(self, holder: str, *, now: datetime, until: datetime) -> LeaderTerm:
            if holder == "a":
                await self.answer.wait()
            return await super().lead(holder, now=now, until=until)

    world = _World()
    world.store = store = Slow()
    a, b = world.candidate("a", request_s=0.05), world.candidate("b")
    asking = asyncio.create_task(a.stand())
    await asyncio.sleep(0)
    world.now += CLOCK_SKEW + timedelta(seconds=1)
    await b.stand()
    with pytest.raises(StoreUnavailableError):
        await asking
    store.answer.set()
    await asyncio.sleep(0)
    await b.stand()
    assert (a.term, b.term) == (None, 1)


async def test_a_leader_that_cannot_renew_leads_no_longer() -> None:
    """Its term ends by the monotonic clock, which nobody sets."""
    world = _World()
    leader = world.candidate("a")
    await leader.stand()
    world.seconds += LEASE.total_seconds() - 1
    assert leader.term == 1
    world.seconds += 1
    assert leader.term is None


async def test_a_term_counts_from_its_request() -> None:
    """A slow answer of the database makes no term longer."""

    class Slow(MemoryStore):
        async def lead(self, holder: str, *, now: datetime, until: datetime) -> LeaderTerm:
            """Answer after most of the term."""
            term = await super().lead(holder, now=now, until=until)
            world.seconds += LEASE.total_seconds() - 1
            return term

    world = _World()
    world.store = Slow()
    leader = world.candidate("a")
    await leader.stand()
    assert leader.term == 1
    world.seconds += 1
    assert leader.term is None


async def test_a_leader_that_was_followed_learns_it() -> None:
    """The next call of `stand` returns the holder of the newest term."""
    world = _World()
    a, b = world.candidate("a"), world.candidate("b")
    await a.stand()
    world.now += LEASE
    await b.stand()
    await a.stand()
    assert (a.term, b.term) == (None, 2)


async def test_resigning_without_a_database_is_no_fault() -> None:
    """The term then runs out by itself."""

    class Down(MemoryStore):
        async def resign(self, holder: str, *, now: datetime) -> None:
            """Fail."""
            raise StoreUnavailableError(f"Nobody hears {holder} at {now}.")

    world = _World()
    world.store = Down()
    leader = world.candidate("a")
    await leader.stand()
    await leader.resign()
    assert leader.term is None


async def test_a_leader_that_was_killed_here_is_followed_at_once() -> None:
    """Its term is ended at once; of two processes that notice it, one gets the next number."""
    world = _World()
    a, b, c = (world.candidate(name) for name in "abc")
    await a.stand()
    world.now += timedelta(seconds=1)
    world.ended.add("a")
    await asyncio.gather(b.stand(), c.stand())
    assert [b.term, c.term] == [2, None]
    await c.stand()
    assert [b.term, c.term] == [2, None]
    # What is left of it, such as a child, learns that it leads no more.
    world.ended.clear()
    await a.stand()
    assert [a.term, b.term] == [None, 2]


async def test_a_leader_that_may_live_is_left_alone() -> None:
    """The leader is on another host, or runs on this one, with any form of its name."""
    world = _World()
    for holder in (process_name(os.getpid()), "elsewhere/0123abcd:1+7", owner_name(1), "a"):
        world.store = MemoryStore()
        await world.candidate(holder).stand()
        b = Candidate(world.store, "b", lease=LEASE, clock=lambda: world.now)
        await b.stand()
        assert b.term is None, holder


async def test_a_real_process_that_was_killed_is_followed(killed: str) -> None:
    """The kernel's data decides, also if another process has its id now."""
    world = _World()
    for holder in (killed, f"{owner_name(os.getpid())}+1"):
        world.store = MemoryStore()
        await world.candidate(holder).stand()
        b = Candidate(world.store, "b", lease=LEASE, clock=lambda: world.now)
        await b.stand()
        assert b.term == 2, holder


def test_a_leaders_lease_is_shorter_than_a_scans() -> None:
    """A fifth of it, but never so short that a busy database deposes leaders."""
    assert leader_lease(timedelta(seconds=30)) == timedelta(seconds=6)
    assert leader_lease(timedelta(seconds=3)) == timedelta(seconds=3)
