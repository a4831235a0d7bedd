"""Scans, results and final records for tests, all with one fixed time by default."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from safeurl.model.attempt import FinalRecord
from safeurl.model.report import Profile
from safeurl.model.scan import Artefact, Result, Scan, new_scan_id
from safeurl.model.worker import WorkerHeartbeat, WorkerParts
from safeurl.ports.store import Store
from safeurl.state import Outcome, State, final_state

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LEASE = timedelta(seconds=30)
WORKER = "worker-1"


def make_scan(at: datetime = NOW, **changes: Any) -> Scan:
    """Return a new QUEUED scan, made at `at`."""
    # Any: the values are those of whatever field a test changes.
    scan = Scan(
        id=new_scan_id(at),
        url="https://example.com/",
        submitted_url="hxxps://example[.]com/",
        profile=Profile.HTTP,
        state=State.QUEUED,
        version=0,
        attempt=0,
        source="cli",
        created_at=at,
        updated_at=at,
        run_after=at,
    )
    return replace(scan, **changes)


def make_artefact(kind: str = "body", digit: str = "a") -> Artefact:
    """Return an artefact whose hash is one digit, 64 times."""
    return Artefact(kind=kind, sha256=digit * 64, size_bytes=12, media_type="text/html")


def make_result(scan: Scan, outcome: Outcome = Outcome.OK) -> Result:
    """Return a result for the scan's attempt."""
    return Result(
        scan_id=scan.id,
        attempt=scan.attempt,
        outcome=outcome,
        score=42,
        verdict="suspicious",
        categories=("phishing", "scam"),
        verdict_json='{"score":42}',
        ruleset="core-1",
        final_url="https://example.com/login",
        http_status=200,
        title="Sign in — «now»",
        created_at=NOW,
    )


def make_ending(scan: Scan, outcome: Outcome = Outcome.OK, **changes: Any) -> FinalRecord:
    """Return the final record of an attempt with this outcome."""
    # Any: the values are those of whatever field a test changes.
    ending = FinalRecord(
        state=final_state(outcome),
        outcome=outcome,
        detail=None,
        result=make_result(scan, outcome),
    )
    return replace(ending, **changes)


def make_beat(worker: str = WORKER, at: datetime = NOW) -> WorkerHeartbeat:
    """Return a worker's sign of life."""
    return WorkerHeartbeat(
        id=worker,
        host="host-1",
        pid=4711,
        concurrency=5,
        started_at=NOW,
        beat_at=at,
        docker_version="20.10.24",
        parts=WorkerParts(),
        disk_free_bytes=10**10,
    )


async def claimed(store: Store, scan: Scan, at: datetime = NOW) -> Scan:
    """Claim a stored scan for `WORKER`, which must succeed."""
    won = await store.claim(scan.id, owner=WORKER, now=at, lease_until=at + LEASE)
    assert won is not None
    return won


async def analyzing(store: Store, scan: Scan) -> Scan:
    """Move a claimed scan to ANALYZING, which must succeed."""
    moved = await analysed(store, scan, '{"n":1}')
    assert moved is not None
    return moved


async def analysed(
    store: Store, scan: Scan, evidence_json: str = "{}", at: datetime = NOW, by: str = WORKER
) -> Scan | None:
    """Try to move a scan to ANALYZING."""
    return await store.begin_analysis(
        scan,
        outcome=Outcome.OK,
        detail=None,
        evidence_json=evidence_json,
        now=at,
        actor=by,
    )


async def finished(store: Store, scan: Scan, outcome: Outcome = Outcome.OK) -> Scan:
    """Finish a scan, which must succeed."""
    ended = await store.finish(scan, make_ending(scan, outcome), now=NOW, actor=WORKER)
    assert ended is not None
    return ended


async def brought_to(store: Store, state: State) -> Scan:
    """Store a new scan and move it to `state` by legal moves."""
    scan = make_scan()
    await store.add([scan])
    if state is State.QUEUED:
        return scan
    scan = await claimed(store, scan)
    if state is State.FETCHING:
        return scan
    scan = await analyzing(store, scan)
    if state is State.ANALYZING:
        return scan
    ends = {
        State.COMPLETED: Outcome.OK,
        State.FAILED: Outcome.SANDBOX_CRASHED,
        State.TIMED_OUT: Outcome.WALL_TIMEOUT,
    }
    return await finished(store, scan, ends[state])
