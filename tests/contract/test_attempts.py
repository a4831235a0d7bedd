"""The suite every Store passes: each attempt has a row, from its claim to its end."""

from dataclasses import fields, replace
from datetime import datetime, timedelta

import pytest

from safeurl.errors import RowRefusedError
from safeurl.model.attempt import Attempt, SandboxFacts
from safeurl.model.scan import Scan
from safeurl.ports.store import Store
from safeurl.retry import failures
from safeurl.state import Outcome, State
from tests.support.builders import (
    LEASE,
    NOW,
    WORKER,
    analysed,
    analyzing,
    brought_to,
    claimed,
    finished,
    make_ending,
    make_scan,
)

LATER = NOW + timedelta(seconds=5)

_FACTS = SandboxFacts(
    container_id="0123456789abcdef",
    start_kind="cold",
    create_ms=41.2,
    start_ms=130.0,
    run_ms=812.75,
    remove_ms=0.0,
    bytes_in=2**40,
    bytes_out=0,
    peak_memory_bytes=64 * 1024**2,
    cpu_ms=412.5,
    exit_code=137,
    oom_killed=True,
    stopped="deadline",
    push_ms=3.5,
    wake_ms=0.25,
    dispatch_ms=7.0,
    claim_ms=2.0,
    prepare_ms=171.5,
    bind_ms=0.0,
    fetch_ms=812.5,
    close_ms=1.0,
)


def _first(scan: Scan, **changes: object) -> Attempt:
    begun = Attempt(scan_id=scan.id, attempt=1, owner=WORKER, started_at=NOW)
    return replace(begun, **changes)  # type: ignore[arg-type]  # - of whatever field a test changes


def _with(attempt: Attempt, facts: SandboxFacts) -> Attempt:
    return replace(attempt, **{each.name: getattr(facts, each.name) for each in fields(facts)})


async def _requeue(  # noqa: PLR0913 - what the cases change
    store: Store,
    scan: Scan,
    outcome: Outcome = Outcome.LEASE_LOST,
    *,
    at: datetime = LATER,
    term: int | None = None,
    counts_as_failure: bool = True,
    sandbox: SandboxFacts | None = None,
) -> Scan:
    waiting = await store.requeue(
        scan,
        outcome=outcome,
        detail=None,
        run_after=at,
        now=at,
        actor="somebody",
        term=term,
        counts_as_failure=counts_as_failure,
        sandbox=sandbox,
    )
    assert waiting is not None
    return waiting


async def test_a_claim_begins_an_attempt_and_the_end_of_the_lease_ends_it(store: Store) -> None:
    """A scan that waits has none that runs; analysing is part of the attempt."""
    scan = make_scan()
    await store.add([scan])
    assert await store.attempts(scan.id) == []
    won = await claimed(store, scan)
    assert await store.attempts(scan.id) == [_first(scan)]
    seen = await analyzing(store, won)
    assert await store.attempts(scan.id) == [_first(scan)]
    ended = await store.finish(seen, make_ending(seen), now=LATER, actor=WORKER)
    assert ended is not None
    assert await store.attempts(scan.id) == [
        _first(scan, ended_at=LATER, outcome=Outcome.OK, counts_as_failure=False)
    ]
    assert await store.attempts(make_scan().id) == []


async def test_each_attempt_has_its_row(store: Store) -> None:
    """The attempts are returned in their order, and only those of the scan."""
    other = await brought_to(store, State.FETCHING)
    scan = await brought_to(store, State.FETCHING)
    waiting = await _requeue(store, scan, Outcome.SANDBOX_UNAVAILABLE)
    again = await store.claim(scan.id, owner="w2", now=LATER, lease_until=LATER + LEASE)
    assert again is not None
    assert again.version == waiting.version + 1
    first, second = await store.attempts(scan.id)
    assert first == _first(
        scan, ended_at=LATER, outcome=Outcome.SANDBOX_UNAVAILABLE, counts_as_failure=True
    )
    assert second == Attempt(scan_id=scan.id, attempt=2, owner="w2", started_at=LATER)
    assert await store.attempts(other.id) == [_first(other)]


async def _analyse(store: Store, scan: Scan, now: datetime) -> Scan | None:
    """Move the scan to ANALYZING with the facts of its sandbox."""
    return await store.begin_analysis(
        scan,
        outcome=Outcome.OK,
        detail=None,
        evidence_json="{}",
        now=now,
        actor=WORKER,
        sandbox=_FACTS,
    )


async def test_the_facts_of_the_sandbox_are_kept(store: Store) -> None:
    """Each move can store them, and a later move of the same attempt does not remove them."""
    scan = await brought_to(store, State.FETCHING)
    seen = await _analyse(store, scan, NOW)
    assert seen is not None
    assert await store.attempts(scan.id) == [_with(_first(scan), _FACTS)]
    await finished(store, seen)
    (kept,) = await store.attempts(scan.id)
    assert _with(kept, SandboxFacts()) == _first(
        scan, ended_at=kept.ended_at, outcome=Outcome.OK, counts_as_failure=False
    )
    assert _with(kept, _FACTS) == kept
    for facts in (_FACTS, SandboxFacts(exit_code=0, oom_killed=False), SandboxFacts()):
        scan = await brought_to(store, State.FETCHING)
        await _requeue(store, scan, sandbox=facts)
        (requeued,) = await store.attempts(scan.id)
        assert _with(requeued, facts) == requeued
        again = await claimed(store, scan, LATER)
        ending = make_ending(again, Outcome.WALL_TIMEOUT, sandbox=facts)
        assert await store.finish(again, ending, now=LATER, actor=WORKER) is not None
        _, timed_out = await store.attempts(scan.id)
        assert _with(timed_out, facts) == timed_out
        assert timed_out.outcome is Outcome.WALL_TIMEOUT


async def test_the_phases_are_completed_by_the_last_move(store: Store) -> None:
    """What analysing took is known after its move; a leader that ends the attempt takes none away.

    A retry's phases are its own.
    """
    scan = await brought_to(store, State.FETCHING)
    await _requeue(store, scan, sandbox=SandboxFacts(push_ms=1.0, wake_ms=2.0))
    again = await claimed(store, scan, LATER)
    seen = await _analyse(store, again, LATER)
    assert seen is not None
    whole = replace(_FACTS, store_ms=4.5, analyse_ms=0.75)
    ending = make_ending(seen, sandbox=whole)
    assert await store.finish(seen, ending, now=LATER, actor=WORKER) is not None
    first, second = await store.attempts(scan.id)
    assert (first.push_ms, first.wake_ms, first.fetch_ms) == (1.0, 2.0, None)
    assert _with(second, whole) == second
    rescued = await brought_to(store, State.FETCHING)
    held = await _analyse(store, rescued, NOW)
    assert held is not None
    await _requeue(store, held)
    (kept,) = await store.attempts(rescued.id)
    assert _with(kept, _FACTS) == kept


async def test_the_recent_attempts_are_those_of_the_newest_scans(store: Store) -> None:
    """Ended ones only, within the limit, and of scans since a time; the last attempt first."""
    assert await store.recent_attempts(limit=5) == []
    made = [make_scan(NOW + timedelta(milliseconds=step)) for step in range(4)]
    await store.add(made)
    for scan in made[:3]:
        await _requeue(store, await claimed(store, scan, LATER), sandbox=_FACTS)
    last = await claimed(store, made[2], LATER)
    await finished(store, last, Outcome.WALL_TIMEOUT)
    await claimed(store, made[0], LATER)
    found = await store.recent_attempts(limit=5)
    wanted = [(made[2].id, 2), (made[2].id, 1), (made[1].id, 1), (made[0].id, 1)]
    assert [(each.scan_id, each.attempt) for each in found] == wanted
    assert found == [
        *reversed(await store.attempts(made[2].id)),
        *await store.attempts(made[1].id),
        (await store.attempts(made[0].id))[0],
    ]
    assert await store.recent_attempts(limit=3) == found[:3]
    for step, count in ((0, 4), (1, 3), (2, 2), (3, 0)):
        since = NOW + timedelta(milliseconds=step)
        assert await store.recent_attempts(limit=5, since=since) == found[:count], step


async def test_which_attempts_count_as_failures(store: Store) -> None:
    """An attempt that was handed back does not count, nor one whose outcome depends on the page."""
    scan = await brought_to(store, State.FETCHING)
    counted = []
    for outcome, counts in (
        (Outcome.LEASE_LOST, False),
        (Outcome.LEASE_LOST, True),
        (Outcome.SANDBOX_UNAVAILABLE, True),
        (Outcome.SANDBOX_UNAVAILABLE, False),
    ):
        await _requeue(store, scan, outcome, counts_as_failure=counts)
        scan = await claimed(store, scan, LATER)
        counted.append(failures(await store.attempts(scan.id)))
    assert counted == [0, 1, 2, 2]
    for outcome, count in (
        (Outcome.CANCELLED, 0),
        (Outcome.SANDBOX_CRASHED, 0),
        (Outcome.LEASE_LOST, 1),
        (Outcome.SANDBOX_UNAVAILABLE, 1),
        (Outcome.DNS_FAILED, 0),
        (Outcome.FETCH_TIMEOUT, 0),
    ):
        scan = await brought_to(store, State.FETCHING)
        await finished(store, scan, outcome)
        assert failures(await store.attempts(scan.id)) == count, outcome


async def test_the_term_of_the_leader_stands_with_the_attempt_that_it_ended(store: Store) -> None:
    """Requeued or finished; a deposed leader ends no attempt."""
    old = (await store.lead("a", now=NOW, until=NOW + LEASE)).term
    await store.resign("a", now=NOW)
    term = (await store.lead("b", now=NOW, until=NOW + LEASE)).term
    requeued = await brought_to(store, State.FETCHING)
    await _requeue(store, requeued, term=term)
    lost = await brought_to(store, State.FETCHING)
    ending = make_ending(lost, Outcome.LEASE_LOST)
    assert await store.finish(lost, ending, now=LATER, actor="a", term=old) is None
    assert await store.attempts(lost.id) == [_first(lost)]
    assert await store.finish(lost, ending, now=LATER, actor="b", term=term) is not None
    for scan in (requeued, lost):
        (attempt,) = await store.attempts(scan.id)
        assert (attempt.term, attempt.counts_as_failure) == (term, True)


async def test_a_scan_that_waits_is_cancelled_without_an_attempt(store: Store) -> None:
    """Also one that was tried before: its attempts are over."""
    fresh = await brought_to(store, State.QUEUED)
    await finished(store, fresh, Outcome.CANCELLED)
    assert await store.attempts(fresh.id) == []
    waiting = await _requeue(store, await brought_to(store, State.FETCHING))
    before = await store.attempts(waiting.id)
    await finished(store, waiting, Outcome.CANCELLED)
    assert await store.attempts(waiting.id) == before


async def test_a_late_worker_changes_no_attempt(store: Store) -> None:
    """Neither its own, which has ended, nor the one that runs now."""
    late = await brought_to(store, State.FETCHING)
    await claimed(store, await _requeue(store, late), LATER)
    before = await store.attempts(late.id)
    assert await analysed(store, late) is None
    ending = make_ending(late, Outcome.WALL_TIMEOUT, sandbox=_FACTS)
    assert await store.finish(late, ending, now=LATER, actor=WORKER) is None
    assert (
        await store.begin_analysis(
            late,
            outcome=Outcome.OK,
            detail=None,
            evidence_json="{}",
            now=LATER,
            actor=WORKER,
            sandbox=_FACTS,
        )
        is None
    )
    assert await store.attempts(late.id) == before


async def test_facts_that_cannot_be_are_refused(store: Store) -> None:
    """The move with such facts is refused too."""
    scan = await brought_to(store, State.FETCHING)
    for facts in (
        SandboxFacts(start_kind="lukewarm"),
        SandboxFacts(stopped="somebody"),
        SandboxFacts(run_ms=-0.5),
        SandboxFacts(cpu_ms=-1.0),
        SandboxFacts(bytes_in=-1),
        SandboxFacts(peak_memory_bytes=-1),
        SandboxFacts(push_ms=-0.1),
        SandboxFacts(fetch_ms=-1.0),
        SandboxFacts(analyse_ms=-0.1),
    ):
        with pytest.raises(RowRefusedError):
            await _requeue(store, scan, sandbox=facts)
        assert await store.get(scan.id) == scan
        assert await store.attempts(scan.id) == [_first(scan)]
