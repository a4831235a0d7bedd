"""The suite every Leadership passes: one leader at a time, and fences against earlier ones."""

import asyncio
from datetime import timedelta

from safeurl.ports.store import Store
from safeurl.state import Outcome, State
from tests.support.builders import LEASE, NOW, brought_to, make_ending

SECOND = timedelta(seconds=1)


async def test_the_first_to_stand_leads_until_its_lease_is_out(store: Store) -> None:
    """A renewal keeps the number; another holder gets the next one only after the term's end."""
    first = await store.lead("a", now=NOW, until=NOW + LEASE)
    assert (first.term, first.holder, first.elected_at, first.until) == (1, "a", NOW, NOW + LEASE)
    assert await store.lead("b", now=NOW + SECOND, until=NOW + LEASE + SECOND) == first
    later = NOW + LEASE - SECOND
    renewed = await store.lead("a", now=later, until=later + LEASE)
    assert (renewed.term, renewed.elected_at, renewed.until) == (1, NOW, later + LEASE)
    after = renewed.until
    second = await store.lead("b", now=after, until=after + LEASE)
    assert (second.term, second.holder) == (2, "b")
    assert await store.lead("a", now=after, until=after + LEASE) == second


async def test_who_resigns_is_followed_at_once(store: Store) -> None:
    """Only the holder can resign, and resigning twice is not an error."""
    await store.resign("a", now=NOW)
    await store.lead("a", now=NOW, until=NOW + LEASE)
    await store.resign("b", now=NOW)
    assert (await store.lead("b", now=NOW, until=NOW + LEASE)).holder == "a"
    await store.resign("a", now=NOW + SECOND)
    await store.resign("a", now=NOW + 2 * SECOND)
    second = await store.lead("b", now=NOW + SECOND, until=NOW + LEASE)
    assert (second.term, second.holder) == (2, "b")


async def test_a_term_from_before_the_clock_was_set_back_is_over(store: Store) -> None:
    """It would end later than any that begins now; a few seconds are the skew between hosts."""
    await store.lead("a", now=NOW, until=NOW + LEASE)
    early = NOW - 4 * SECOND
    assert (await store.lead("b", now=early, until=early + LEASE)).holder == "a"
    early = NOW - 3600 * SECOND
    assert (await store.lead("b", now=early, until=early + LEASE)).holder == "b"


async def test_of_many_that_stand_one_leads(store: Store) -> None:
    """All candidates get the same term."""
    stood = await asyncio.gather(
        *(store.lead(f"h{number}", now=NOW, until=NOW + LEASE) for number in range(10))
    )
    assert len({(term.term, term.holder) for term in stood}) == 1


async def test_a_deposed_leader_writes_nothing(store: Store) -> None:
    """Neither a move nor its other rows are written; the new leader's write succeeds."""
    await store.lead("a", now=NOW, until=NOW + LEASE)
    await store.lead("b", now=NOW + LEASE, until=NOW + 2 * LEASE)
    scan = await brought_to(store, State.FETCHING)
    trail = await store.audit(scan.id)
    ending = make_ending(scan, Outcome.LEASE_LOST, evidence_json="{}")
    await store.append_audit(scan, event="concluding", detail="", now=NOW, actor="a", term=1)
    assert await store.finish(scan, ending, now=NOW, actor="a", term=1) is None
    moved = await store.requeue(
        scan, outcome=Outcome.LEASE_LOST, detail=None, run_after=NOW, now=NOW, actor="a", term=1
    )
    assert moved is None
    assert await store.get(scan.id) == scan
    assert await store.audit(scan.id) == trail
    assert await store.result(scan.id) is None
    assert await store.evidence(scan.id) is None
    ended = await store.finish(scan, ending, now=NOW, actor="b", term=2)
    assert ended is not None
    assert ended.state is State.FAILED
