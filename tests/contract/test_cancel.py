"""Cancelling over every store: from each state, against a row that moves, once and for all."""

from collections.abc import Awaitable, Callable
from datetime import datetime

import pytest

from safeurl.adapters.memory.queue import MemoryQueue
from safeurl.adapters.memory.store import MemoryStore
from safeurl.errors import ScanFinishedError, ScanNotFoundError, StoreUnavailableError
from safeurl.model.attempt import FinalRecord
from safeurl.model.audit import path_faults
from safeurl.model.scan import Scan
from safeurl.ports.store import Store
from safeurl.service import Service
from safeurl.state import Outcome, State, is_final
from tests.support.builders import LEASE, NOW, WORKER, brought_to, claimed, finished, make_scan

_ENDS = [state for state in State if is_final(state)]


def _service(store: Store) -> Service:
    return Service(store, MemoryQueue(), lambda: NOW)


async def _check_cancelled(store: Store, scan: Scan) -> None:
    held, result = await store.get(scan.id), await store.result(scan.id)
    assert held is not None
    assert result is not None
    assert (held.state, held.outcome) == (State.FAILED, Outcome.CANCELLED)
    assert (held.finished_at, held.lease_owner) == (NOW, None)
    assert (result.verdict, result.outcome) == ("inconclusive", Outcome.CANCELLED)
    trail = await store.audit(scan.id)
    assert path_faults(trail) == []
    assert (trail[-1].actor, trail[-1].outcome) == ("cli", Outcome.CANCELLED)


async def test_a_scan_is_cancelled_in_every_state_that_is_not_final(store: Store) -> None:
    """It ends FAILED at once with a result, and its worker has no lease any more."""
    for state in (State.QUEUED, State.FETCHING, State.ANALYZING):
        scan = await brought_to(store, state)
        cancelled = await _service(store).cancel(scan.id, actor="cli")
        assert cancelled == await store.get(scan.id)
        await _check_cancelled(store, scan)
        assert not await store.renew_lease(scan, lease_until=NOW + LEASE)
        assert await store.claim(scan.id, owner=WORKER, now=NOW, lease_until=NOW + LEASE) is None


async def test_evidence_that_was_stored_stays(store: Store) -> None:
    """The evidence of an attempt is kept when the scan is cancelled."""
    scan = await brought_to(store, State.ANALYZING)
    before = await store.evidence(scan.id)
    await _service(store).cancel(scan.id, actor="cli")
    assert before is not None
    assert await store.evidence(scan.id) == before


async def test_a_scan_that_has_ended_is_not_cancelled(store: Store) -> None:
    """The error names the earlier final state, and nothing is written."""
    for state in _ENDS:
        scan = await brought_to(store, state)
        with pytest.raises(ScanFinishedError, match=state):
            await _service(store).cancel(scan.id, actor="cli")
        assert await store.get(scan.id) == scan


async def test_cancelling_twice_is_cancelling_once(store: Store) -> None:
    """The second call returns the scan as the first one ended it."""
    scan = await brought_to(store, State.FETCHING)
    first = await _service(store).cancel(scan.id, actor="cli")
    assert await _service(store).cancel(scan.id, actor="api") == first
    await _check_cancelled(store, scan)


async def test_an_unknown_scan_is_not_cancelled(store: Store) -> None:
    """Text that is not an id cancels nothing either."""
    for scan_id in (make_scan().id, "nope", "\ud800"):
        with pytest.raises(ScanNotFoundError):
            await _service(store).cancel(scan_id, actor="cli")


class _MovingStore(MemoryStore):
    """A store in which a worker is quicker: it acts between a cancel's read and its write."""

    def __init__(self, *moves: Callable[[Scan], Awaitable[object]]) -> None:
        super().__init__()
        self.moves = list(moves)

    async def finish(
        self, scan: Scan, ending: FinalRecord, *, now: datetime, actor: str, term: int | None = None
    ) -> Scan | None:
        """Let the worker make its next move first."""
        if actor == "cli" and self.moves:
            await self.moves.pop(0)(scan)
        return await super().finish(scan, ending, now=now, actor=actor, term=term)


async def _cancel_while(*moves: str) -> tuple[_MovingStore, Scan]:
    """Cancel a QUEUED scan while a worker makes these moves, one before each write."""
    store = _MovingStore()

    async def claim(scan: Scan) -> None:
        await claimed(store, scan)

    async def hand_back(scan: Scan) -> None:
        assert await store.requeue(
            scan, outcome=Outcome.LEASE_LOST, detail=None, run_after=NOW, now=NOW, actor=WORKER
        )

    async def give_up(scan: Scan) -> None:
        await finished(store, scan, Outcome.SANDBOX_CRASHED)

    known = {"claim": claim, "hand_back": hand_back, "give_up": give_up}
    store.moves = [known[name] for name in moves]
    scan = await brought_to(store, State.QUEUED)
    await _service(store).cancel(scan.id, actor="cli")
    return store, scan


async def test_a_scan_that_moves_on_meanwhile_is_cancelled_where_it_is() -> None:
    """Each lost write is tried anew from the state in which the scan is then."""
    store, scan = await _cancel_while("claim", "hand_back", "claim")
    await _check_cancelled(store, scan)
    assert (await _service(store).scan(scan.id)).version == 4


async def test_a_scan_that_ends_meanwhile_keeps_that_end() -> None:
    """The worker was first, and the caller of the cancel gets an error about it."""
    with pytest.raises(ScanFinishedError, match="FAILED"):
        await _cancel_while("claim", "give_up")


async def test_a_scan_that_never_stands_still_is_given_up() -> None:
    """No real scan moves so often; if a store reports it forever, the call still ends."""
    with pytest.raises(StoreUnavailableError):
        await _cancel_while(*["claim", "hand_back"] * 100)
