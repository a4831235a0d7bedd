"""The suite that every Store passes: writes of a worker that lost its scan have no effect."""

from dataclasses import replace
from datetime import timedelta

from safeurl.model.scan import Scan
from safeurl.ports.store import Store
from safeurl.state import Outcome, State
from tests.support.builders import (
    LEASE,
    NOW,
    WORKER,
    analysed,
    claimed,
    finished,
    make_artefact,
    make_ending,
    make_result,
    make_scan,
)

LATER = NOW + timedelta(seconds=5)


async def _put_back(store: Store, scan: Scan) -> Scan | None:
    return await store.requeue(
        scan,
        outcome=Outcome.LEASE_LOST,
        detail=None,
        run_after=LATER,
        now=NOW,
        actor="rescuer",
    )


async def test_a_late_worker_writes_nothing(store: Store) -> None:
    """After a rescue the old attempt's writes find no row, and leave no trace at all."""
    scan = make_scan()
    await store.add([scan])
    late = await claimed(store, scan)
    waiting = await _put_back(store, late)
    assert waiting is not None
    now_held = await claimed(store, waiting, at=LATER)
    trail = await store.audit(scan.id)
    await _try_late(store, late)
    assert await store.get(scan.id) == now_held
    assert await store.audit(scan.id) == trail
    assert await store.result(scan.id) is None
    assert await store.evidence(scan.id) is None
    assert await store.artefacts(scan.id) == []


async def test_a_late_worker_takes_nothing_away(store: Store) -> None:
    """The evidence of the next attempt stays, while it is judged and afterwards."""
    scan = make_scan()
    await store.add([scan])
    late = await claimed(store, scan)
    waiting = await _put_back(store, late)
    assert waiting is not None
    seen = await store.begin_analysis(
        await claimed(store, waiting, at=LATER),
        outcome=Outcome.OK,
        detail=None,
        evidence_json='{"n":2}',
        artefacts=(make_artefact(digit="d"),),
        now=LATER,
        actor=WORKER,
    )
    assert seen is not None
    await _try_late(store, late)
    assert await store.get(scan.id) == seen
    ended = await finished(store, seen)
    await _try_late(store, late)
    await _try_late(store, seen)
    assert await store.get(scan.id) == ended
    assert await store.result(scan.id) == make_result(seen)
    assert await store.evidence(scan.id) == '{"n":2}'
    assert await store.artefacts(scan.id) == [make_artefact(digit="d")]


async def _try_late(store: Store, late: Scan) -> None:
    """Try every write of an attempt that has ended, each with all possible data."""
    ending = make_ending(late, artefacts=(make_artefact(),), evidence_json='{"late":1}')
    failed = replace(ending, state=State.FAILED, outcome=Outcome.SANDBOX_CRASHED)
    if late.state is State.FETCHING:
        assert await analysed(store, late, "{}", LATER, "late") is None
    assert await store.finish(late, failed, now=LATER, actor="late") is None
    assert await _put_back(store, late) is None
    assert not await store.renew_lease(late, lease_until=LATER + LEASE)
    await store.append_audit(late, event="sandbox", detail="late", now=LATER, actor="late")
