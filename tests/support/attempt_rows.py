"""Attempts with phase times, made up for tests."""

from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from safeurl.model.attempt import PHASES, Attempt, SandboxFacts
from safeurl.model.scan import Scan, new_scan_id
from safeurl.ports.store import Store
from safeurl.state import Outcome
from tests.support.builders import NOW, WORKER, analysed, claimed, make_ending, make_scan

#: Milliseconds per phase, in the order of the phases.
WARM = (2.0, 1.0, 8.0, 3.0, 4.0, 1.0, 30.0, 2.0, 6.0, 1.0)
COLD = (2.0, 1.0, 8.0, 3.0, 210.0, 1.0, 180.0, 2.0, 6.0, 1.0)
#: The phases before the claim, which lie before `started_at`.
_BEFORE = 3


def make_attempt(
    times_ms: tuple[float, ...] = WARM, at: datetime = NOW, *, gap_ms: float = 0.0, **changes: Any
) -> Attempt:
    """Return a complete attempt that was claimed at `at`.

    `gap_ms` is the time between its phases.
    """
    # Any: the values are those of whatever field a test changes.
    held_ms = sum(times_ms[_BEFORE:]) + gap_ms
    phases: dict[str, Any] = {f"{name}_ms": ms for name, ms in zip(PHASES, times_ms, strict=True)}
    attempt = Attempt(
        scan_id=new_scan_id(at),
        attempt=1,
        owner=WORKER,
        started_at=at,
        ended_at=at + timedelta(milliseconds=held_ms),
        outcome=Outcome.OK,
        counts_as_failure=False,
        start_kind="cold" if times_ms is COLD else "warm",
        cpu_ms=100.0,
        peak_memory_bytes=20 * 1024**2,
        **phases,
    )
    return replace(attempt, **changes)


async def store_attempt(store: Store, attempt: Attempt) -> Scan:
    """Store a scan that had this attempt, by the moves that a worker makes; return it at its end.

    The attempt's own id is replaced by the scan's.
    """
    scan = make_scan(attempt.started_at)
    await store.add([scan])
    held = await claimed(store, scan, attempt.started_at)
    seen = await analysed(store, held, at=attempt.started_at)
    assert seen is not None
    assert attempt.ended_at is not None
    facts: dict[str, Any] = {
        each.name: getattr(attempt, each.name) for each in fields(SandboxFacts)
    }
    ending = make_ending(seen, sandbox=SandboxFacts(**facts))
    ended = await store.finish(seen, ending, now=attempt.ended_at, actor=WORKER)
    assert ended is not None
    return ended
