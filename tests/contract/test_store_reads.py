"""The suite every Store passes: lists, counts, workers and the audit trail."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from safeurl.errors import RowRefusedError
from safeurl.model.audit import path_faults
from safeurl.model.scan import Metrics, VerdictSummary
from safeurl.model.worker import PartStatus, WorkerParts
from safeurl.ports.clock import CLOCK_SKEW
from safeurl.ports.store import Store
from safeurl.state import Outcome, State
from tests.support.builders import (
    LEASE,
    NOW,
    WORKER,
    analyzing,
    brought_to,
    claimed,
    finished,
    make_beat,
    make_ending,
    make_scan,
)

_NO_DOCKER = WorkerParts(docker=PartStatus(ok=False, reason="It does not answer: “é”."))

SECOND = timedelta(seconds=1)


async def test_pages_walk_from_new_to_old(store: Store) -> None:
    """Each scan appears once, also if newer ones are added meanwhile."""
    scans = [make_scan(NOW + number * SECOND) for number in range(7)]
    await store.add(scans)
    newest = scans[::-1]
    assert await store.page(limit=3) == newest[:3]
    await store.add([make_scan(NOW + 60 * SECOND)])
    assert await store.page(limit=3, before=newest[2].id) == newest[3:6]
    assert await store.page(limit=3, before=newest[5].id) == newest[6:]
    assert await store.page(limit=3, before=newest[6].id) == []


async def test_a_list_knows_what_was_concluded(store: Store) -> None:
    """Final scans have a score and a verdict; other scans and unknown ids are left out."""
    done, waiting = await brought_to(store, State.COMPLETED), await brought_to(store, State.QUEUED)
    result = await store.result(done.id)
    assert result is not None
    judged = await store.summaries([waiting.id, done.id, "nobody's"])
    assert judged == {
        done.id: VerdictSummary(scan_id=done.id, score=result.score, verdict=result.verdict)
    }
    assert await store.summaries([]) == {}


async def test_due_scans_come_oldest_first(store: Store) -> None:
    """Only due QUEUED scans are returned, up to the limit."""
    third, first, second = (make_scan(run_after=NOW + n * SECOND) for n in (3, 1, 2))
    taken, later = make_scan(), make_scan(run_after=NOW + 9 * SECOND)
    await store.add([third, first, second, taken, later])
    await claimed(store, taken)
    at = NOW + 3 * SECOND
    assert await store.due(now=at, limit=10) == [first, second, third]
    assert await store.due(now=at, limit=2) == [first, second]
    assert await store.due(now=NOW, limit=10) == []


async def test_due_scans_that_were_tried_come_first(store: Store) -> None:
    """However many wait, one that lost its worker is among those that are found."""
    waiting, tried = make_scan(), make_scan(run_after=NOW + SECOND)
    await store.add([waiting, tried])
    at = NOW + SECOND
    taken = await claimed(store, tried, at)
    back = await store.requeue(
        taken, outcome=Outcome.LEASE_LOST, detail=None, run_after=at, now=at, actor="r"
    )
    assert await store.due(now=at, limit=1) == [back]
    assert await store.due(now=at, limit=2) == [back, waiting]


async def test_a_wake_up_is_not_wasted_on_a_clock_that_is_late(store: Store) -> None:
    """A worker claims a scan of a host whose clock is slightly ahead of its own."""
    ahead = make_scan(NOW + CLOCK_SKEW)
    await store.add([ahead])
    assert (await claimed(store, ahead, NOW)).attempt == 1


async def test_what_was_written_in_the_future_does_not_wait(store: Store) -> None:
    """After the clock was set back, waiting scans are due, whatever time they wait for."""
    fresh = make_scan(NOW + 3600 * SECOND)
    put_off = make_scan(NOW - SECOND, run_after=NOW + 60 * SECOND)
    near = make_scan(NOW + 4 * SECOND)
    await store.add([fresh, put_off, near])
    assert await store.due(now=NOW, limit=10) == [fresh]
    assert await store.claim(put_off.id, owner="a", now=NOW, lease_until=NOW + LEASE) is None
    assert (await claimed(store, fresh, NOW)).attempt == 1


async def test_leased_scans_come_oldest_lease_first(store: Store) -> None:
    """FETCHING and ANALYZING ones whose lease ends by then; an ended one has none."""
    scans = [make_scan(NOW - 60 * SECOND) for _ in range(5)]
    await store.add(scans)
    held = [await claimed(store, scan, NOW - n * SECOND) for n, scan in enumerate(scans)]
    held[1] = await analyzing(store, held[1])
    assert await store.renew_lease(held[2], lease_until=NOW + 2 * LEASE)
    await finished(store, await analyzing(store, held[3]))
    at = NOW + LEASE
    assert await store.leased(until=at, limit=10) == [held[4], held[1], held[0]]
    assert await store.leased(until=at, limit=1) == [held[4]]
    assert await store.leased(until=at - 5 * SECOND, limit=10) == []
    renewed = replace(held[2], lease_until=NOW + 2 * LEASE)
    assert await store.leased(limit=10) == [held[4], held[1], held[0], renewed]


async def test_metrics_count_what_is_open_and_what_just_ended(store: Store) -> None:
    """An hour and more ago is not recent, and a page that could not be had is not broken."""
    empty = Metrics(
        pending=0,
        in_progress=0,
        recently_completed=0,
        recently_failed=0,
        recently_cancelled=0,
        recently_broken=0,
        oldest_pending_at=None,
    )
    assert await store.metrics(now=NOW) == empty
    for state in State:
        await brought_to(store, state)
    await finished(store, await brought_to(store, State.FETCHING), Outcome.DNS_NXDOMAIN)
    for state in (State.QUEUED, State.FETCHING, State.ANALYZING):
        await finished(store, await brought_to(store, state), Outcome.CANCELLED)
    older = make_scan(NOW - 60 * SECOND, run_after=NOW + 60 * SECOND)
    await store.add([older])
    counted = Metrics(
        pending=2,
        in_progress=2,
        recently_completed=1,
        recently_failed=3,
        recently_cancelled=3,
        recently_broken=1,
        oldest_pending_at=older.created_at,
    )
    assert await store.metrics(now=NOW + 59 * 60 * SECOND) == counted
    aged = replace(
        counted, recently_completed=0, recently_failed=0, recently_cancelled=0, recently_broken=0
    )
    assert await store.metrics(now=NOW + 60 * 60 * SECOND) == aged


async def test_a_worker_is_known_by_its_last_beat(store: Store) -> None:
    """A heartbeat replaces the previous one; the newest comes first."""
    await store.record_heartbeat(make_beat("a"))
    await store.record_heartbeat(make_beat("b", NOW + SECOND))
    ill = replace(make_beat("a", NOW + 2 * SECOND), docker_version="", parts=_NO_DOCKER)
    await store.record_heartbeat(ill)
    assert await store.workers(since=NOW) == [ill, make_beat("b", NOW + SECOND)]
    assert await store.workers(since=NOW + 2 * SECOND) == [ill]
    assert await store.workers(since=NOW + 3 * SECOND) == []
    await store.forget_workers(silent_since=NOW + 2 * SECOND)
    assert await store.workers(since=NOW) == [ill]


async def test_a_retired_worker_is_forgotten(store: Store) -> None:
    """A worker that ends leaves the list at once; retiring it again does nothing."""
    await store.record_heartbeat(make_beat("a"))
    await store.record_heartbeat(make_beat("b"))
    await store.remove_worker("a")
    await store.remove_worker("a")
    assert await store.workers(since=NOW) == [make_beat("b")]


async def test_the_trail_tells_a_legal_life(store: Store) -> None:
    """It contains the submission, each move with its actor, time and reason, and the notes."""
    scan = make_scan(source="api")
    await store.add([scan])
    won = await claimed(store, scan)
    waiting = await store.requeue(
        won,
        outcome=Outcome.SANDBOX_UNAVAILABLE,
        detail="Docker does not answer.",
        run_after=NOW,
        now=NOW + SECOND,
        actor="worker-1",
    )
    assert waiting is not None
    again = await claimed(store, waiting, NOW + 2 * SECOND)
    at = NOW + 3 * SECOND
    await store.append_audit(
        again, event="sandbox", detail='{"start":"cold"}', now=at, actor=WORKER
    )
    seen = await analyzing(store, again)
    ending = make_ending(seen, detail="Done.")
    assert await store.finish(seen, ending, now=NOW + 4 * SECOND, actor="analyst") is not None

    trail = await store.audit(scan.id)
    assert path_faults(trail) == []
    assert [(e.event, e.version, e.attempt, e.from_state, e.to_state, e.actor) for e in trail] == [
        ("submitted", 0, 0, None, State.QUEUED, "api"),
        ("transition", 1, 1, State.QUEUED, State.FETCHING, WORKER),
        ("transition", 2, 1, State.FETCHING, State.QUEUED, "worker-1"),
        ("transition", 3, 2, State.QUEUED, State.FETCHING, WORKER),
        ("sandbox", 3, 2, None, None, WORKER),
        ("transition", 4, 2, State.FETCHING, State.ANALYZING, WORKER),
        ("transition", 5, 2, State.ANALYZING, State.COMPLETED, "analyst"),
    ]
    assert [(entry.outcome, entry.detail, entry.at) for entry in trail] == [
        (None, None, NOW),
        (None, None, NOW),
        (Outcome.SANDBOX_UNAVAILABLE, "Docker does not answer.", NOW + SECOND),
        (None, None, NOW + 2 * SECOND),
        (None, '{"start":"cold"}', at),
        (Outcome.OK, None, NOW),
        (Outcome.OK, "Done.", NOW + 4 * SECOND),
    ]
    assert [entry.id for entry in trail] == sorted({entry.id for entry in trail})
    assert await store.audit(make_scan().id) == []


async def test_a_note_does_not_pass_for_a_move(store: Store) -> None:
    """The names of the trail's own events are refused for notes."""
    scan = await brought_to(store, State.QUEUED)
    for event in ("submitted", "transition"):
        with pytest.raises(RowRefusedError):
            await store.append_audit(scan, event=event, detail="", now=NOW, actor=WORKER)
    assert len(await store.audit(scan.id)) == 1


async def test_one_of_many_claims_wins(store: Store) -> None:
    """Twenty at once on one scan: one gets it, the others get None and no error."""
    scan = make_scan()
    await store.add([scan])
    tries = [
        store.claim(scan.id, owner=f"w{n}", now=NOW, lease_until=NOW + LEASE) for n in range(20)
    ]
    won = [each for each in await asyncio.gather(*tries) if each is not None]
    assert len(won) == 1
    assert await store.get(scan.id) == won[0]
    assert path_faults(await store.audit(scan.id)) == []


async def test_the_store_is_ready_and_stays_so(store: Store) -> None:
    """Migrating a current schema applies nothing and loses nothing."""
    scan = await brought_to(store, State.ANALYZING)
    assert await store.migrate() == []
    await store.ping()
    assert await store.get(scan.id) == scan
