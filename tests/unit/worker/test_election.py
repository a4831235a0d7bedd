"""A candidate leads while the store says so and no longer than its lease."""

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
        self.store = MemoryStore()
        #: Those whose process is known to have ended.
        self.ended: set[str] = set()

    def candidate(self, holder: str, lease: timedelta = LEASE) -> Candidate:
        """Return one that stands for election here."""
        return Candidate(
            self.store,
            holder,
            lease=lease,
            clock=lambda: self.now,
            has_ended=lambda name: name in self.ended,
        )


def test_of_two_candidates_one_leads() -> None:
    """The other follows once the first has resigned, with the next number."""

    async def act() -> None:
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

    asyncio.run(act())


def test_a_leader_steps_aside_for_seconds_however_long_its_terms_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whom it makes way for may have gone without a word, and then nobody would lead for long."""
    seconds = 1000.0
    monkeypatch.setattr("worker.leader.election.time.monotonic", lambda: seconds)

    async def act() -> None:
        nonlocal seconds
        world = _World()
        a = world.candidate("a", timedelta(minutes=12))
        await a.stand()
        await a.step_aside()
        world.now += timedelta(seconds=11)
        seconds += 9
        await a.stand()
        assert a.term is None
        seconds += 2
        await a.stand()
        assert a.term == 1

    asyncio.run(act())


def test_a_leader_that_steps_aside_is_followed_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At once; it stands again after a term's time, and leads where nobody has followed."""
    seconds = 1000.0
    monkeypatch.setattr("worker.leader.election.time.monotonic", lambda: seconds)

    async def act() -> None:
        nonlocal seconds
        world = _World()
        a, b = world.candidate("a"), world.candidate("b")
        await a.stand()
        await a.step_aside()
        assert a.term is None
        world.now += timedelta(seconds=1)
        seconds += 1
        await a.stand()
        assert a.term is None
        await b.stand()
        assert b.term == 2
        await b.step_aside()
        world.now += LEASE
        seconds += LEASE.total_seconds()
        await a.stand()
        assert a.term == 3

    asyncio.run(act())


def test_what_is_asked_too_late_deposes_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its old time the term that another began meanwhile would end too far ahead."""

    class Slow(MemoryStore):
        """Answers one holder only once it is told to."""

        def __init__(self) -> None:
            super().__init__()
            self.answer = asyncio.Event()

        async def lead(self, holder: str, *, now: datetime, until: datetime) -> LeaderTerm:
            if holder == "a":
                await self.answer.wait()
            return await super().lead(holder, now=now, until=until)

    monkeypatch.setattr("worker.leader.election._PATIENCE_S", 0.05)

    async def act() -> None:
        world = _World()
        world.store = store = Slow()
        a, b = world.candidate("a"), world.candidate("b")
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

    asyncio.run(act())


def test_a_leader_that_cannot_renew_stops_believing() -> None:
    """Once its lease is out, by a clock that nobody sets, it acts no more."""

    async def act() -> None:
        world = _World()
        leader = world.candidate("a", timedelta(seconds=0.05))
        await leader.stand()
        assert leader.term == 1
        await asyncio.sleep(0.06)
        assert leader.term is None

    asyncio.run(act())


def test_a_term_counts_from_when_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that takes its time to answer lengthens no term."""
    seconds = 1000.0
    monkeypatch.setattr("worker.leader.election.time.monotonic", lambda: seconds)

    class Slow(MemoryStore):
        async def lead(self, holder: str, *, now: datetime, until: datetime) -> LeaderTerm:
            """Answer after most of the term."""
            nonlocal seconds
            term = await super().lead(holder, now=now, until=until)
            seconds += LEASE.total_seconds() - 1
            return term

    async def act() -> None:
        nonlocal seconds
        world = _World()
        world.store = Slow()
        leader = world.candidate("a")
        await leader.stand()
        assert leader.term == 1
        seconds += 1
        assert leader.term is None

    asyncio.run(act())


def test_a_leader_that_was_followed_learns_it() -> None:
    """Standing again shows who holds the newest term."""

    async def act() -> None:
        world = _World()
        a, b = world.candidate("a"), world.candidate("b")
        await a.stand()
        world.now += LEASE
        await b.stand()
        await a.stand()
        assert (a.term, b.term) == (None, 2)

    asyncio.run(act())


def test_resigning_without_a_database_is_no_fault() -> None:
    """The term then runs out by itself."""

    class Down(MemoryStore):
        async def resign(self, holder: str, *, now: datetime) -> None:
            """Fail."""
            raise StoreUnavailableError(f"Nobody hears {holder} at {now}.")

    async def act() -> None:
        world = _World()
        world.store = Down()
        leader = world.candidate("a")
        await leader.stand()
        await leader.resign()
        assert leader.term is None

    asyncio.run(act())


def test_a_leader_that_was_killed_here_is_followed_at_once() -> None:
    """Nobody waits for its term to end; of two that see it one follows, with the next number."""

    async def act() -> None:
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

    asyncio.run(act())


def test_a_leader_that_may_live_is_left_alone() -> None:
    """Of another host, or of this one and alive, whatever its name looks like."""

    async def act() -> None:
        world = _World()
        for holder in (process_name(os.getpid()), "elsewhere/0123abcd:1+7", owner_name(1), "a"):
            world.store = MemoryStore()
            await world.candidate(holder).stand()
            b = Candidate(world.store, "b", lease=LEASE, clock=lambda: world.now)
            await b.stand()
            assert b.term is None, holder

    asyncio.run(act())


def test_a_real_process_that_was_killed_is_followed() -> None:
    """By what the kernel says of it, also where its id was given out again."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as killed:
        name = process_name(killed.pid)
        killed.kill()

    async def act(holder: str) -> None:
        world = _World()
        await world.candidate(holder).stand()
        b = Candidate(world.store, "b", lease=LEASE, clock=lambda: world.now)
        await b.stand()
        assert b.term == 2

    asyncio.run(act(name))
    asyncio.run(act(f"{owner_name(os.getpid())}+1"))


def test_a_leaders_lease_is_shorter_than_a_scans() -> None:
    """A fifth of it, but never so short that a busy database deposes leaders."""
    assert leader_lease(timedelta(seconds=30)) == timedelta(seconds=6)
    assert leader_lease(timedelta(seconds=3)) == timedelta(seconds=3)
