"""The suite that every Store passes: the moves, their guards and their writes."""

from dataclasses import replace
from datetime import timedelta

import pytest

from safeurl.errors import RowRefusedError
from safeurl.model.scan import Scan
from safeurl.ports.clock import CLOCK_SKEW
from safeurl.ports.store import Store
from safeurl.state import FINAL_STATES, TRANSITIONS, Outcome, State, final_state
from tests.support.builders import (
    LEASE,
    NOW,
    WORKER,
    analysed,
    analyzing,
    brought_to,
    claimed,
    finished,
    make_artefact,
    make_ending,
    make_result,
    make_scan,
)

LATER = NOW + timedelta(seconds=5)


async def _requeue(store: Store, scan: Scan) -> Scan | None:
    return await store.requeue(
        scan,
        outcome=Outcome.LEASE_LOST,
        detail="The worker was lost.",
        run_after=LATER,
        now=NOW,
        actor="rescuer",
    )


async def _try(store: Store, scan: Scan, new: State) -> Scan | None:
    """Move the scan to `new` by the method for this move."""
    if new is State.QUEUED:
        return await _requeue(store, scan)
    if new is State.FETCHING:
        return await store.claim(scan.id, owner=WORKER, now=NOW, lease_until=NOW + LEASE)
    if new is State.ANALYZING:
        return await analysed(store, scan)
    outcome = next(outcome for outcome in Outcome if final_state(outcome) is new)
    return await store.finish(scan, make_ending(scan, outcome), now=NOW, actor=WORKER)


async def test_the_store_makes_every_legal_move_and_no_other(store: Store) -> None:
    """Over all pairs of states: a legal move is made, any other leaves the scan as it was."""
    for old in State:
        for new in State:
            scan = await brought_to(store, old)
            if new in TRANSITIONS[old]:
                moved = await _try(store, scan, new)
                assert moved is not None, (old, new)
                assert (moved.state, moved.version) == (new, scan.version + 1)
                assert await store.get(scan.id) == moved
            elif new is State.FETCHING:
                assert await _try(store, scan, new) is None, old
                assert await store.get(scan.id) == scan
            else:
                with pytest.raises(RowRefusedError):
                    await _try(store, scan, new)
                assert await store.get(scan.id) == scan


async def test_a_scan_comes_back_as_it_was_added(store: Store) -> None:
    """Every field survives, microseconds and characters beyond ASCII included."""
    scans = [make_scan(), make_scan(submitted_url="hxxp://bücher.example/ʘ'\";--", source="api")]
    await store.add(scans)
    assert [await store.get(scan.id) for scan in scans] == scans
    assert await store.get(make_scan().id) is None


async def test_adding_is_all_or_nothing(store: Store) -> None:
    """One refused scan refuses its complete batch; an empty batch is not an error."""
    taken, fresh = make_scan(), make_scan()
    await store.add([taken])
    for wrong in (
        replace(taken, url="https://elsewhere.example/"),
        replace(taken, submitted_url="elsewhere.example"),
        replace(taken, source="api"),
        replace(taken, created_at=LATER),
        make_scan(state=State.FETCHING),
        make_scan(version=1),
        make_scan(created_at=NOW.replace(tzinfo=None)),
    ):
        with pytest.raises(RowRefusedError):
            await store.add([fresh, wrong])
        assert await store.get(fresh.id) is None
    await store.add([])
    assert await store.page(limit=10) == [taken]


async def test_adding_again_changes_nothing(store: Store) -> None:
    """An add whose answer was lost may be repeated, even when the scan has moved on."""
    scan = make_scan()
    await store.add([scan])
    won = await claimed(store, scan)
    await store.add([scan])
    assert await store.get(scan.id) == won
    assert len(await store.audit(scan.id)) == 2


async def test_a_claim_takes_the_scan_with_a_lease(store: Store) -> None:
    """Attempt and version increase by one, and a second claim fails."""
    scan = make_scan()
    await store.add([scan])
    won = await claimed(store, scan)
    assert won == replace(
        scan,
        state=State.FETCHING,
        version=1,
        attempt=1,
        lease_owner=WORKER,
        lease_until=NOW + LEASE,
    )
    assert await _try(store, scan, State.FETCHING) is None
    assert await store.claim("no-such", owner="w", now=NOW, lease_until=NOW + LEASE) is None


async def test_a_scan_is_not_claimed_before_its_time(store: Store) -> None:
    """The limit is exact to the microsecond, apart from the allowed difference of clocks."""
    scan = make_scan(run_after=LATER)
    await store.add([scan])
    first = LATER - CLOCK_SKEW
    early = first - timedelta(microseconds=1)
    assert await store.claim(scan.id, owner="w", now=early, lease_until=LATER) is None
    await claimed(store, scan, at=first)


async def test_only_the_holder_renews_a_lease(store: Store) -> None:
    """Renewing changes no version; a rescued scan's old lease is not renewed."""
    scan = make_scan()
    await store.add([scan])
    won = await claimed(store, scan)
    until = NOW + 2 * LEASE
    assert await store.renew_lease(won, lease_until=until)
    assert await store.get(scan.id) == replace(won, lease_until=until)
    assert not await store.renew_lease(replace(won, lease_owner="other"), lease_until=until)
    assert not await store.renew_lease(replace(won, attempt=2), lease_until=until)
    waiting = await _requeue(store, won)
    assert waiting is not None
    assert not await store.renew_lease(won, lease_until=until)
    again = await claimed(store, waiting, at=LATER)
    assert not await store.renew_lease(won, lease_until=until)
    assert await store.get(scan.id) == again


async def test_a_scan_goes_back_to_the_queue_for_another_attempt(store: Store) -> None:
    """The lease is given up; outcome and detail stay until the next claim."""
    for state in (State.FETCHING, State.ANALYZING):
        scan = await brought_to(store, state)
        waiting = await _requeue(store, scan)
        assert waiting == replace(
            scan,
            state=State.QUEUED,
            version=scan.version + 1,
            lease_owner=None,
            lease_until=None,
            run_after=LATER,
            outcome=Outcome.LEASE_LOST,
            detail="The worker was lost.",
        )
        again = await claimed(store, waiting, at=LATER)
        assert (again.attempt, again.outcome, again.detail) == (2, None, None)


async def test_analysis_begins_with_its_evidence(store: Store) -> None:
    """The evidence of a later attempt replaces the earlier one."""
    scan = await brought_to(store, State.ANALYZING)
    assert await store.evidence(scan.id) == '{"n":1}'
    waiting = await _requeue(store, scan)
    assert waiting is not None
    again = await claimed(store, waiting, at=LATER)
    moved = await analysed(store, again, '{"n":2}')
    assert moved == replace(
        again, state=State.ANALYZING, version=5, updated_at=NOW, outcome=Outcome.OK
    )
    assert await store.evidence(scan.id) == '{"n":2}'
    assert await store.evidence(make_scan().id) is None


async def test_what_an_attempt_found_is_stored_before_it_is_judged(store: Store) -> None:
    """Outcome, detail and artefacts are stored too, so that any host can conclude the scan."""
    scan = await brought_to(store, State.FETCHING)
    moved = await store.begin_analysis(
        scan,
        outcome=Outcome.BODY_TOO_LARGE,
        detail="Cut off.",
        evidence_json="{}",
        artefacts=(make_artefact(),),
        now=NOW,
        actor=WORKER,
    )
    assert moved is not None
    assert (moved.outcome, moved.detail) == (Outcome.BODY_TOO_LARGE, "Cut off.")
    assert await store.artefacts(scan.id) == [make_artefact()]


async def test_a_scan_finishes_with_all_that_belongs_to_it(store: Store) -> None:
    """Result, artefacts by kind, evidence and the final state appear together."""
    scan = await brought_to(store, State.FETCHING)
    ending = make_ending(
        scan,
        Outcome.WALL_TIMEOUT,
        detail="It took too long.",
        artefacts=(make_artefact("screenshot"), make_artefact("body", "b"), make_artefact("body")),
        evidence_json='{"partial":true}',
    )
    ended = await store.finish(scan, ending, now=LATER, actor=WORKER)
    assert ended == replace(
        scan,
        state=State.TIMED_OUT,
        version=2,
        outcome=Outcome.WALL_TIMEOUT,
        detail="It took too long.",
        updated_at=LATER,
        finished_at=LATER,
        lease_owner=None,
        lease_until=None,
    )
    assert await store.get(scan.id) == ended
    assert await store.result(scan.id) == make_result(scan, Outcome.WALL_TIMEOUT)
    assert await store.evidence(scan.id) == '{"partial":true}'
    assert await store.artefacts(scan.id) == [
        make_artefact("body"),
        make_artefact("body", "b"),
        make_artefact("screenshot"),
    ]


async def test_every_final_state_is_reached_from_wherever_it_may(store: Store) -> None:
    """Each leaves one result, and without new evidence the stored one stays."""
    ways = [(old, new) for old in State for new in TRANSITIONS[old] if new in FINAL_STATES]
    assert len(ways) == 6
    for old, new in ways:
        scan = await brought_to(store, old)
        before = await store.evidence(scan.id)
        ended = await _try(store, scan, new)
        assert ended is not None
        assert ended.finished_at == NOW
        result = await store.result(scan.id)
        assert result is not None
        assert result.outcome == ended.outcome
        assert await store.evidence(scan.id) == before
        assert await store.artefacts(scan.id) == []


async def test_a_scan_has_one_result_only(store: Store) -> None:
    """The second result changes nothing, also with different data."""
    scan = await brought_to(store, State.ANALYZING)
    ended = await finished(store, scan)
    other = make_ending(scan, Outcome.SANDBOX_CRASHED, artefacts=(make_artefact(),))
    assert await store.finish(scan, other, now=LATER, actor="second") is None
    assert await store.get(scan.id) == ended
    assert await store.result(scan.id) == make_result(scan)
    assert await store.artefacts(scan.id) == []


async def test_what_breaks_a_rule_is_refused_whole(store: Store) -> None:
    """A result or document that the schema refuses makes its complete batch fail."""
    scan = await brought_to(store, State.FETCHING)
    with pytest.raises(RowRefusedError):
        await analysed(store, scan, "{no json")
    scan = await analyzing(store, scan)
    for wrong in ({"score": 101}, {"verdict": "fine"}, {"verdict_json": "{"}):
        result = replace(make_result(scan), **wrong)
        ending = make_ending(scan, artefacts=(make_artefact(),), result=result)
        with pytest.raises(RowRefusedError):
            await store.finish(scan, ending, now=NOW, actor=WORKER)
        assert await store.get(scan.id) == scan
        assert await store.artefacts(scan.id) == []


async def test_a_lease_that_was_renewed_after_the_look_is_not_taken_away(store: Store) -> None:
    """A leader saw the lease run out, its worker renewed it, and only then the leader moves."""
    term = (await store.lead("leader", now=NOW, until=NOW + LEASE)).term
    seen = await brought_to(store, State.FETCHING)
    assert await store.renew_lease(seen, lease_until=LATER + LEASE)
    held = await store.get(seen.id)
    ending = make_ending(seen, Outcome.LEASE_LOST)
    await store.append_audit(
        seen, event="concluding", detail="", now=NOW, actor="leader", term=term
    )
    assert await store.finish(seen, ending, now=NOW, actor="leader", term=term) is None
    assert await _take_back(store, seen, term) is None
    assert await store.get(seen.id) == held
    assert await store.result(seen.id) is None
    assert [entry.event for entry in await store.audit(seen.id)] == ["submitted", "transition"]
    assert held is not None
    moved = await _take_back(store, held, term)
    assert moved is not None
    assert moved.state is State.QUEUED


async def _take_back(store: Store, scan: Scan, term: int) -> Scan | None:
    return await store.requeue(
        scan,
        outcome=Outcome.LEASE_LOST,
        detail=None,
        run_after=LATER,
        now=NOW,
        actor="leader",
        term=term,
    )


async def test_another_attempts_artefacts_go_with_its_evidence(store: Store) -> None:
    """The artefacts of a lost attempt are removed when the next attempt stores its own."""
    scan = await brought_to(store, State.FETCHING)
    for digit in "ab":
        moved = await store.begin_analysis(
            scan,
            outcome=Outcome.OK,
            detail=None,
            evidence_json="{}",
            artefacts=[make_artefact(digit=digit)],
            now=NOW,
            actor=WORKER,
        )
        assert moved is not None
        assert await store.artefacts(scan.id) == [make_artefact(digit=digit)]
        waiting = await _requeue(store, moved)
        assert waiting is not None
        scan = await claimed(store, waiting, LATER)
    late = make_ending(
        scan,
        Outcome.WALL_TIMEOUT,
        artefacts=(make_artefact(digit="c"),),
        evidence_json="{}",
    )
    assert await store.finish(scan, late, now=LATER, actor=WORKER) is not None
    assert await store.artefacts(scan.id) == [make_artefact(digit="c")]
