"""Two workers, two rescuers that are candidates for leader, and people who cancel, in any order.

Hypothesis runs the real rescuer and the real service on every kind of store, and compares each call
with a model. Workers keep scans that they lost long ago and continue to use them, and former
leaders continue to sweep.
"""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    multiple,
    rule,
    run_state_machine_as_test,
)

from safeurl.adapters.memory.queue import MemoryQueue
from safeurl.errors import ScanFinishedError
from safeurl.model.audit import path_faults
from safeurl.model.scan import Scan
from safeurl.ports.store import Store
from safeurl.service import Service
from safeurl.state import Outcome, State, final_state, is_final
from tests.support.attempt_check import attempt_faults
from tests.support.builders import LEASE, NOW, analysed, make_ending
from tests.support.stores import OpenStore, libsql_ws, memory, sqlite
from worker.leader.rescuer import Rescuer

_MAX_RETRIES = 2
_PAUSE = timedelta(seconds=60)
_ENDINGS = (Outcome.OK, Outcome.DNS_NXDOMAIN, Outcome.WALL_TIMEOUT, Outcome.OUT_OF_MEMORY)

workers = st.sampled_from(["w1", "w2"])
hosts = st.sampled_from(["h1", "h2"])


@dataclass
class _Model:
    """The expected state of one scan."""

    state: State = State.QUEUED
    version: int = 0
    attempt: int = 0
    run_after: datetime = NOW
    lease_until: datetime | None = None
    outcome: Outcome | None = None

    def move(self, new: State, outcome: Outcome | None = None) -> None:
        """Make the move."""
        self.state, self.outcome = new, outcome
        self.version += 1
        if new not in {State.FETCHING, State.ANALYZING}:
            self.lease_until = None


@dataclass
class _Election:
    holder: str = ""
    until: datetime = NOW
    number: int = 0
    #: The term that each host believes to be its own.
    believed: dict[str, int | None] = field(default_factory=dict)


class StoreMachine(RuleBasedStateMachine):
    """The rules; a subclass names the store."""

    open_store: ClassVar[OpenStore]
    scans: Bundle[str] = Bundle("scans")
    handles: Bundle[Scan] = Bundle("handles")

    def __init__(self) -> None:
        """Open an empty store."""
        super().__init__()
        self.now = NOW
        self.models: dict[str, _Model] = {}
        self.election = _Election()
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._folder = tempfile.TemporaryDirectory()
        self.store: Store = self._runner.run(
            self._stack.enter_async_context(type(self).open_store(Path(self._folder.name)))
        )
        self.queue = MemoryQueue()
        self.service = Service(self.store, self.queue, lambda: self.now)

    @rule(target=scans)
    def submit(self) -> str:
        """Submit a URL."""
        handed = self.service.submit(["https://example.com/"], source="test")
        [scan] = self._runner.run(handed).scans
        self.models[scan.id] = _Model(run_after=self.now)
        return scan.id

    @rule(target=handles, scan_id=scans, worker=workers)
    def claim(self, scan_id: str, worker: str) -> MultipleResults[Scan]:
        """Claim the scan: this succeeds exactly if the scan waits and is due."""
        model = self.models[scan_id]
        until = self.now + LEASE
        won = self._runner.run(
            self.store.claim(scan_id, owner=worker, now=self.now, lease_until=until)
        )
        may = model.state is State.QUEUED and model.run_after <= self.now
        assert (won is not None) == may
        if won is None:
            return multiple()
        model.move(State.FETCHING)
        model.attempt += 1
        model.lease_until = until
        return multiple(won)

    @rule(target=handles, handle=handles)
    def analyse(self, handle: Scan) -> MultipleResults[Scan]:
        """Move the scan to ANALYZING, unless it was lost."""
        if handle.state is not State.FETCHING:
            return multiple()
        moved = self._runner.run(analysed(self.store, handle, at=self.now, by="w"))
        assert (moved is not None) == self._is_current(handle)
        if moved is None:
            return multiple()
        self.models[handle.id].move(State.ANALYZING, Outcome.OK)
        return multiple(moved)

    @rule(handle=handles, outcome=st.sampled_from(_ENDINGS))
    def finish(self, handle: Scan, outcome: Outcome) -> None:
        """End a scan, unless it was lost."""
        if (handle.state is State.ANALYZING) != (outcome is Outcome.OK):
            return
        ended = self._runner.run(
            self.store.finish(handle, make_ending(handle, outcome), now=self.now, actor="w")
        )
        assert (ended is not None) == self._is_current(handle)
        if ended is not None:
            self.models[handle.id].move(final_state(outcome), outcome)

    @rule(handle=handles)
    def put_off(self, handle: Scan) -> None:
        """Give a scan up for later, unless it was lost."""
        waiting = self._runner.run(
            self.store.requeue(
                handle,
                outcome=Outcome.SANDBOX_UNAVAILABLE,
                detail=None,
                run_after=self.now + _PAUSE,
                now=self.now,
                actor="w",
            )
        )
        assert (waiting is not None) == self._is_current(handle)
        if waiting is not None:
            model = self.models[handle.id]
            model.move(State.QUEUED, Outcome.SANDBOX_UNAVAILABLE)
            model.run_after = self.now + _PAUSE

    @rule(handle=handles)
    def renew(self, handle: Scan) -> None:
        """Renew the lease of a scan, unless it was lost."""
        until = self.now + LEASE
        renewed = self._runner.run(self.store.renew_lease(handle, lease_until=until))
        assert renewed == self._is_current(handle)
        if renewed:
            self.models[handle.id].lease_until = until

    @rule(handle=handles, host=hosts)
    def take_back(self, handle: Scan, host: str) -> None:
        """Take the scan back with old data: this is refused if the lease was renewed since."""
        term = self.election.believed.get(host)
        if term is None:
            return
        moved = self._runner.run(
            self.store.requeue(
                handle,
                outcome=Outcome.LEASE_LOST,
                detail=None,
                run_after=self.now,
                now=self.now,
                actor=host,
                term=term,
            )
        )
        model = self.models[handle.id]
        as_seen = self._is_current(handle) and handle.lease_until == model.lease_until
        assert (moved is not None) == (as_seen and term == self.election.number)
        if moved is not None:
            model.move(State.QUEUED, Outcome.LEASE_LOST)
            model.run_after = self.now

    @rule(scan_id=scans)
    def cancel(self, scan_id: str) -> None:
        """Cancel the scan in any state; a final state stays."""
        model = self.models[scan_id]
        if is_final(model.state) and model.outcome is not Outcome.CANCELLED:
            with pytest.raises(ScanFinishedError):
                self._runner.run(self.service.cancel(scan_id, actor="cli"))
            return
        ended = self._runner.run(self.service.cancel(scan_id, actor="cli"))
        if not is_final(model.state):
            model.move(State.FAILED, Outcome.CANCELLED)
        assert (ended.state, ended.version) == (State.FAILED, model.version)

    @rule(host=hosts)
    def stand(self, host: str) -> None:
        """Try to become leader: one host holds the newest term, and all get this term."""
        election, until = self.election, self.now + LEASE
        newest = self._runner.run(self.store.lead(host, now=self.now, until=until))
        if election.holder == host:
            election.until = until
        elif not election.holder or election.until <= self.now:
            election.holder, election.until = host, until
            election.number += 1
        assert (newest.term, newest.holder) == (election.number, election.holder)
        election.believed[host] = election.number if election.holder == host else None

    @rule(host=hosts)
    def sweep(self, host: str) -> None:
        """Sweep with the term that this host has, also if it is no longer the newest."""
        term = self.election.believed.get(host)
        self._runner.run(self._rescuer(host).sweep(term))
        if term != self.election.number:
            return
        for model in self.models.values():
            if model.lease_until is None or model.lease_until > self.now:
                continue
            if model.state is State.ANALYZING:
                model.move(State.COMPLETED, Outcome.OK)
            elif model.attempt > _MAX_RETRIES:
                model.move(State.FAILED, Outcome.LEASE_LOST)
            else:
                model.move(State.QUEUED, Outcome.LEASE_LOST)
                model.run_after = self.now

    @rule(host=hosts)
    def sweep_deposed(self, host: str) -> None:
        """Rescue as a leader that was away for a lease, and another was elected meanwhile."""
        if self.election.believed.get(host) is None:
            return
        self.now += LEASE
        self.stand("h2" if host == "h1" else "h1")
        self.sweep(host)
        for scan_id in self.models:
            self.look(scan_id)

    @rule(seconds=st.sampled_from([1, 10, 31, 61]))
    def wait(self, seconds: int) -> None:
        """Advance the clock."""
        self.now += timedelta(seconds=seconds)

    @rule(scan_id=scans)
    def look(self, scan_id: str) -> None:
        """Compare row, trail and result with the model."""
        model = self.models[scan_id]
        scan = self._runner.run(self.store.get(scan_id))
        assert scan is not None
        seen = (scan.state, scan.version, scan.attempt, scan.lease_until, scan.outcome)
        assert seen == (
            model.state,
            model.version,
            model.attempt,
            model.lease_until,
            model.outcome,
        )
        trail = self._runner.run(self.store.audit(scan_id))
        assert path_faults(trail) == []
        steps = [entry for entry in trail if entry.to_state is not None]
        assert (steps[-1].to_state, steps[-1].version) == (model.state, model.version)
        attempts = self._runner.run(self.store.attempts(scan_id))
        assert list(attempt_faults(attempts, trail)) == []
        result = self._runner.run(self.store.result(scan_id))
        assert (result is not None) == is_final(model.state)

    def teardown(self) -> None:
        """Look at all, and close."""
        try:
            for scan_id in self.models:
                self.look(scan_id)
        finally:
            self._runner.run(self._stack.aclose())
            self._runner.close()
            self._folder.cleanup()

    def _is_current(self, handle: Scan) -> bool:
        model = self.models[handle.id]
        return (handle.version, handle.state) == (model.version, model.state)

    def _rescuer(self, host: str) -> Rescuer:
        async def reap(_scan_id: str, _attempt: int) -> bool:
            return False

        return Rescuer(
            self.store,
            self.queue,
            clock=lambda: self.now,
            actor=host,
            lease=LEASE,
            max_retries=_MAX_RETRIES,
            reap=reap,
        )


@pytest.mark.parametrize(
    ("open_store", "lives"),
    [(memory, 200), (sqlite, 40), (libsql_ws, 20)],
    ids=["memory", "sqlite", "sqld"],
)
def test_no_order_of_events_breaks_a_scan(open_store: OpenStore, lives: int) -> None:
    """Fifty steps a life: 10,000 over memory, 2,000 over SQLite, 1,000 over sqld."""
    machine = type("Machine", (StoreMachine,), {"open_store": staticmethod(open_store)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=lives,
            stateful_step_count=50,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
