"""The suite every Store passes: all about a scan is read at one moment."""

import asyncio
from datetime import timedelta

from safeurl.errors import RowRefusedError
from safeurl.model.audit import path_faults
from safeurl.model.scan import Scan
from safeurl.model.view import ScanView
from safeurl.ports.store import Store
from safeurl.state import Outcome, State, is_final
from tests.support.attempt_check import attempt_faults
from tests.support.builders import (
    NOW,
    WORKER,
    brought_to,
    make_artefact,
    make_ending,
    make_scan,
)

LATER = NOW + timedelta(seconds=5)
_SCANS = 15
_READERS = 4


def check_is_of_one_moment(view: ScanView) -> None:
    """Compare the parts of a view with each other."""
    steps = [entry for entry in view.audit if entry.to_state is not None]
    assert path_faults(view.audit) == []
    assert (steps[-1].to_state, steps[-1].version) == (view.scan.state, view.scan.version)
    assert (view.result is not None) == is_final(view.scan.state)
    assert list(attempt_faults(view.attempts, view.audit)) == []
    assert [attempt.attempt for attempt in view.attempts if attempt.ended_at is None] == (
        [view.scan.attempt] if view.scan.lease_owner is not None else []
    )


async def test_a_view_holds_all_that_is_stored(store: Store) -> None:
    """It equals the single reads; there is no view of an unknown scan."""
    scan = await brought_to(store, State.ANALYZING)
    ending = make_ending(scan, artefacts=(make_artefact("screenshot"), make_artefact("body")))
    for finish in (False, True):
        if finish:
            assert await store.finish(scan, ending, now=LATER, actor=WORKER) is not None
        view = await store.view(scan.id)
        assert view is not None
        assert view == ScanView(
            scan=await store.get(scan.id) or scan,
            result=await store.result(scan.id),
            artefacts=tuple(await store.artefacts(scan.id)),
            evidence_json=await store.evidence(scan.id),
            audit=tuple(await store.audit(scan.id)),
            attempts=tuple(await store.attempts(scan.id)),
        )
        check_is_of_one_moment(view)
    waiting = make_scan()
    await store.add([waiting])
    view = await store.view(waiting.id)
    assert view is not None
    assert (view.scan, view.result, view.evidence_json) == (waiting, None, None)
    assert (view.artefacts, view.attempts, len(view.audit)) == ((), (), 1)
    assert await store.view(make_scan().id) is None


async def test_no_view_shows_a_result_beside_a_state_that_is_not_final(store: Store) -> None:
    """However many scans end while they are looked at."""
    scans = [await brought_to(store, State.ANALYZING) for _ in range(_SCANS)]

    async def finish(scan: Scan) -> None:
        ending = make_ending(scan, Outcome.OK)
        assert await store.finish(scan, ending, now=LATER, actor=WORKER) is not None

    async def look(scan: Scan) -> bool:
        view = await store.view(scan.id)
        assert view is not None
        check_is_of_one_moment(view)
        return is_final(view.scan.state)

    async def look_on(scan: Scan) -> None:
        is_over = False
        while not is_over:
            is_over = await look(scan)
            await asyncio.sleep(0)  # the store in memory runs no other task meanwhile

    async with asyncio.TaskGroup() as group:
        for scan in scans:
            for _ in range(_READERS):
                group.create_task(look_on(scan))
            group.create_task(finish(scan))


async def test_a_write_after_a_view_is_taken(store: Store) -> None:
    """Reading leaves no transaction open, also if nothing was found or a write was refused."""
    assert await store.view(make_scan().id) is None
    scan = await brought_to(store, State.FETCHING)
    assert await store.view(scan.id) is not None
    try:
        await store.add([make_scan(version=1)])
    except RowRefusedError:
        pass
    else:
        raise AssertionError
    view = await store.view(scan.id)
    assert view is not None
    assert view.scan == scan
    ending = make_ending(scan, Outcome.WALL_TIMEOUT)
    assert await store.finish(scan, ending, now=LATER, actor=WORKER) is not None
    view = await store.view(scan.id)
    assert view is not None
    assert view.scan.state is State.TIMED_OUT
