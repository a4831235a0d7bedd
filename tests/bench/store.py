"""Rates of the database and the queue by themselves."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from safeurl.bootstrap import make_queue, open_store, utc_now
from safeurl.model.attempt import FinalRecord
from safeurl.model.scan import Result, Scan
from safeurl.ports.queue import Waiting
from safeurl.ports.store import Store
from safeurl.service import Service
from safeurl.settings import Settings
from safeurl.state import Outcome, State
from tests.support.valkey import Valkey

_SUBMITS = 500
_SCANS = 500
#: QUEUED→FETCHING, FETCHING→ANALYZING, ANALYZING→COMPLETED.
_MOVES = 3


def submits_per_second(folder: Path) -> float:
    """Return the number of single submits per second, each durable and with its wake-up."""
    settings = Settings.read({"SAFEURL_STATE_DIR": str(folder)})
    with Valkey(settings.valkey_dir):
        return asyncio.run(_submits(settings))


async def _submits(settings: Settings) -> float:
    queue = make_queue(settings)
    async with open_store(settings) as store:
        service = Service(store, queue, utc_now)
        started = time.perf_counter()
        for number in range(_SUBMITS):
            await service.submit([f"https://example.com/{number}"], source="bench")
        took = time.perf_counter() - started
    await queue.close()
    return _SUBMITS / took


def transitions_per_second(folder: Path) -> float:
    """Return how many guarded moves a second SQLite makes, from claim to the final batch."""
    settings = Settings.read({"SAFEURL_STATE_DIR": str(folder)})
    return asyncio.run(_transitions(settings))


async def _transitions(settings: Settings) -> float:
    queue = _NoQueue()
    async with open_store(settings) as store:
        service = Service(store, queue, utc_now)
        urls = [f"https://example.com/{number}" for number in range(_SCANS)]
        scans = (await service.submit(urls, source="bench")).scans
        started = time.perf_counter()
        for scan in scans:
            await _live(store, scan)
        return _SCANS * _MOVES / (time.perf_counter() - started)


async def _live(store: Store, scan: Scan) -> None:
    now = datetime.now(UTC)
    until = now + timedelta(seconds=30)
    claimed = await store.claim(scan.id, owner="bench", now=now, lease_until=until)
    assert claimed is not None
    moved = await store.begin_analysis(
        claimed, outcome=Outcome.OK, detail=None, evidence_json="{}", now=now, actor="bench"
    )
    assert moved is not None
    ending = FinalRecord(
        state=State.COMPLETED, outcome=Outcome.OK, detail=None, result=_result(moved, now)
    )
    assert await store.finish(moved, ending, now=now, actor="bench") is not None


def _result(scan: Scan, now: datetime) -> Result:
    return Result(
        scan_id=scan.id,
        attempt=scan.attempt,
        outcome=Outcome.OK,
        score=0,
        verdict="benign",
        categories=(),
        verdict_json="{}",
        ruleset="bench",
        final_url=None,
        http_status=200,
        title=None,
        created_at=now,
    )


class _NoQueue:
    """A queue without consumers, because only the database is measured here."""

    async def push(self, _scan_ids: object, *, first: bool = False) -> None:
        """Drop the wake-ups."""

    async def waiting(self, *, limit: int) -> Waiting:
        """Return nothing."""
        return Waiting(is_all=limit >= 0)

    async def ping(self) -> int:
        """Return nothing."""
        return 0

    async def refused(self) -> int:
        """Refuse none."""
        return 0

    async def close(self) -> None:
        """Do nothing: there is no connection."""
