"""The suite that every AuditLedger passes: the complete trail and the seals over it."""

from dataclasses import astuple, replace
from datetime import timedelta

import pytest

from safeurl.errors import RowRefusedError
from safeurl.model.audit import Seal, entry_of, trail_faults
from safeurl.model.seal import NO_ROW, seal_over, sha256_of
from safeurl.ports.store import Store
from safeurl.services.attempt_check import attempt_faults
from safeurl.services.audit_verify import verify
from safeurl.state import Outcome, State
from tests.support.builders import NOW, brought_to, claimed, make_scan
from worker.leader.sealer import Sealer

TERM_S = timedelta(seconds=30)


async def _lead(store: Store, holder: str = "a") -> int:
    now = NOW if holder == "a" else NOW + 2 * TERM_S
    return (await store.lead(holder, now=now, until=now + TERM_S)).term


def _sealer(store: Store, max_rows: int = 4, max_seals: int = 100) -> Sealer:
    return Sealer(store, clock=lambda: NOW, max_rows=max_rows, max_seals=max_seals)


async def _next_seal(store: Store, term: int) -> Seal:
    """Return the first seal over all that is there, not yet stored."""
    rows = await store.rows(after=0, limit=100)
    return seal_over(rows, number=1, last_id=rows[-1].id, previous=None, at=NOW, term=term)


async def test_rows_come_by_the_page_as_they_are_kept(store: Store) -> None:
    """Ids count from 1 without gaps, and each row reads as the scan's own trail has it."""
    done = await brought_to(store, State.COMPLETED)
    scan = await brought_to(store, State.FETCHING)
    await store.append_audit(scan, event="sandbox", detail="«ʘ'\n\"", now=NOW, actor="w")
    rows = await store.rows(after=0, limit=100)
    assert [row.id for row in rows] == list(range(1, 8))
    assert [entry_of(row) for row in rows[:4]] == await store.audit(done.id)
    assert [entry_of(row) for row in rows[4:]] == await store.audit(scan.id)
    assert await store.rows(after=2, limit=3) == rows[2:5]
    assert await store.rows(after=-5, limit=1) == rows[:1]
    assert await store.rows(after=7, limit=9) == []
    assert await store.last_numbers() == (7, 0)


async def test_what_is_refused_uses_up_no_id(store: Store) -> None:
    """A batch that wrote audit rows before it failed leaves no gap in the ids."""
    await brought_to(store, State.FETCHING)
    for wrong in ({"state": State.FAILED}, {"version": 1}, {"attempt": 1}):
        with pytest.raises(RowRefusedError):
            await store.add([make_scan(), make_scan(), make_scan(**wrong)])
    await store.add([make_scan()])
    assert [row.id for row in await store.rows(after=0, limit=9)] == [1, 2, 3]
    assert await store.last_numbers() == (3, 0)


async def test_trails_come_with_where_their_scans_stand(store: Store) -> None:
    """By id, page by page, each with all of its rows and no others."""
    scans = [await brought_to(store, state) for state in State]
    scans.sort(key=lambda scan: scan.id)
    first = await store.trails(after="", limit=4)
    trails = first + await store.trails(after=first[-1].scan_id, limit=4)
    assert [(t.scan_id, t.state, t.version) for t in trails] == [
        (scan.id, scan.state, scan.version) for scan in scans
    ]
    for trail in trails:
        assert [entry_of(row) for row in trail.rows] == await store.audit(trail.scan_id)
        assert trail_faults(trail) == []
        assert list(attempt_faults(trail)) == []
        kept = [(row.attempt, row.owner, row.outcome) for row in trail.attempts]
        attempts = await store.attempts(trail.scan_id)
        assert kept == [(each.attempt, each.owner, each.outcome) for each in attempts]
    assert await store.trails(after=scans[-1].id, limit=4) == []


async def test_a_trail_tells_which_attempts_do_not_count(store: Store) -> None:
    """A scan that was given back has a note after its move; one that failed has none."""
    for counts, noted in ((True, []), (False, [("attempt_not_counted", 2, 1, "w", None, None)])):
        scan = await brought_to(store, State.FETCHING)
        waiting = await store.requeue(
            scan,
            outcome=Outcome.LEASE_LOST,
            detail="x",
            run_after=NOW,
            now=NOW,
            actor="w",
            counts_as_failure=counts,
        )
        assert waiting is not None
        await claimed(store, waiting)
        entries = (await store.audit(scan.id))[3:-1]
        assert [
            (e.event, e.version, e.attempt, e.actor, e.outcome, e.detail) for e in entries
        ] == noted
    for trail in await store.trails(after="", limit=9):
        assert trail_faults(trail) == []
        assert list(attempt_faults(trail)) == []


async def test_the_sealer_leaves_nothing_unsealed(store: Store) -> None:
    """The ranges have no gap and are not too long, and each hash continues the last one."""
    for _ in range(3):
        await brought_to(store, State.COMPLETED)
    term = await _lead(store)
    assert await store.last_seal() is None
    assert await _sealer(store, max_rows=5).seal(term) == 3
    assert await _sealer(store).seal(term) == 0
    await brought_to(store, State.QUEUED)
    assert await _sealer(store).seal(term) == 1
    seals = await store.seals(after=0, limit=10)
    assert [(s.number, s.first_id, s.last_id) for s in seals] == [
        *((1, 1, 5), (2, 6, 10), (3, 11, 12), (4, 13, 13))
    ]
    rows = await store.rows(after=0, limit=100)
    previous = "0" * 64
    for seal in seals:
        assert seal.previous_sha256 == previous
        assert seal.sha256 == sha256_of(seal, rows[seal.first_id - 1 : seal.last_id])
        assert NO_ROW not in seal.digests
        assert (seal.term, seal.sealed_at) == (term, "2026-01-02T03:04:05.678901Z")
        previous = seal.sha256
    assert await store.last_seal() == seals[-1]
    assert await store.seals(after=1, limit=2) == seals[1:3]
    assert await store.last_numbers() == (13, 4)
    found = await verify(store)
    assert found.faults == ()
    assert (found.rows, found.unsealed, found.seals, found.scans) == (13, 0, 4, 4)
    assert found.head is not None
    assert astuple(found.head) == (4, seals[-1].sha256)


async def test_a_call_seals_so_much_and_no_more(store: Store) -> None:
    """The next call seals the remaining rows."""
    for _ in range(2):
        await brought_to(store, State.COMPLETED)
    term = await _lead(store)
    assert await _sealer(store, max_rows=3, max_seals=2).seal(term) == 2
    assert (await verify(store)).unsealed == 2
    assert await _sealer(store, max_rows=3, max_seals=2).seal(term) == 1
    assert (await verify(store)).unsealed == 0


async def test_a_seal_may_be_repeated_and_has_one_successor(store: Store) -> None:
    """The same again is well; another one at its place, or beyond the next, is refused."""
    await brought_to(store, State.COMPLETED)
    term = await _lead(store)
    seal = await _next_seal(store, term)
    assert await store.seal(seal)
    assert await store.seal(seal)
    assert await store.seals(after=0, limit=9) == [seal]
    for wrong in (
        replace(seal, sha256="a" * 64),
        replace(seal, number=3, first_id=5, last_id=8, previous_sha256=seal.sha256),
        replace(seal, number=2, first_id=6, last_id=9, previous_sha256=seal.sha256),
        replace(seal, number=2, first_id=5, last_id=8),
    ):
        assert not await store.seal(wrong)
    assert await store.seals(after=0, limit=9) == [seal]


async def test_a_deposed_leader_seals_nothing(store: Store) -> None:
    """Only a seal with the newest term is accepted."""
    await claimed(store, await brought_to(store, State.QUEUED))
    term = await _lead(store)
    assert await _lead(store, "b") == term + 1
    assert await _sealer(store).seal(term) == 0
    assert await _sealer(store).seal(term + 2) == 0
    assert await store.last_seal() is None
    assert await _sealer(store).seal(term + 1) == 1
    last = await store.last_seal()
    assert last is not None
    assert last.term == term + 1


async def test_schema_and_rows_are_as_made(store: Store) -> None:
    """Nothing is named, whatever states the scans are in."""
    for state in State:
        await brought_to(store, state)
    assert await store.schema_faults() == []
    assert await store.content_faults() == []
