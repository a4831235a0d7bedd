"""A row that this version cannot read is skipped and reported; the other rows are served."""

import gc
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path

import pytest

from safeurl.adapters.memory.queue import MemoryQueue
from safeurl.adapters.sqlite import SQLiteStore
from safeurl.errors import RowUnreadableError, StoreBusyError, StoreFullError
from safeurl.service import Service
from safeurl.state import State
from tests.support.attempt_rows import make_attempt, store_attempt
from tests.support.builders import NOW, claimed, make_beat, make_scan
from worker.leader.rescuer import PUSH_GRACE, Rescuer

#: What makes a row unreadable, each past the CHECKs and triggers of the schema or from outside it.
_DAMAGE = {
    "a time that does not exist": "run_after = '2025-99-45T00:00:00.000000Z'",
    "a later version's profile": "profile = 'later'",
    "a later version's outcome": "outcome = 'later'",
    "text that is no UTF-8": "url = CAST(x'687474703a2f2fff' AS TEXT)",
}
_EACH = pytest.mark.parametrize("damage", _DAMAGE.values(), ids=_DAMAGE.keys())


@asynccontextmanager
async def _opened(path: Path) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(path, retry_for_s=5)
    try:
        await store.migrate()
        yield store
    finally:
        await store.close()


def _damage(path: Path, scan_ids: list[str], change: str) -> None:
    """Change rows as a user with access to the file can, or a newer version may."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.execute("DROP TRIGGER scan_jobs_stay_what_they_are")
        for scan_id in scan_ids:
            database.execute(f"UPDATE scan_jobs SET {change} WHERE id = ?", (scan_id,))  # noqa: S608 - constants of this test


@_EACH
async def test_the_others_are_listed_and_found_due(tmp_path: Path, damage: str) -> None:
    """The requested number is returned for all places of damaged rows, whose ids are reported."""
    path = tmp_path / "safeurl.db"
    async with _opened(path) as store:
        scans = sorted((make_scan() for _ in range(30)), key=lambda scan: scan.id)
        await store.add(scans)
        ids = [scan.id for scan in scans]
        bad = [*ids[:12], ids[20]]
        good = [scan_id for scan_id in ids if scan_id not in bad]
        _damage(path, bad, damage)
        for limit in (1, 5, 9, 17, 100):
            told: list[str] = []
            due = await store.due(now=NOW, limit=limit, on_unreadable=told.append)
            assert [scan.id for scan in due] == good[:limit]
            assert set(ids[:12]) <= set(told) <= set(bad)
            listed = await store.page(limit=limit)
            assert [scan.id for scan in listed] == good[::-1][:limit]
        with pytest.raises(RowUnreadableError):
            await store.get(bad[0])


@_EACH
async def test_the_others_are_rescued_and_pushed(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Lost and forgotten scans behind the damaged ones; each of those is logged once."""
    path = tmp_path / "safeurl.db"
    with caplog.at_level(logging.INFO, "safeurl.rescuer"):
        async with _opened(path) as store:
            held, lost = taken = [make_scan(), make_scan()]
            await store.add(taken)
            for scan in taken:
                await claimed(store, scan)
            waiting, forgotten = scans = sorted(
                (make_scan(), make_scan()), key=lambda scan: scan.id
            )
            await store.add(scans)
            _damage(path, [held.id, waiting.id], damage)
            queue = MemoryQueue()
            now = NOW + timedelta(minutes=1) + PUSH_GRACE
            term = await store.lead("r", now=now, until=now + timedelta(minutes=1))
            rescuer = Rescuer(
                store,
                queue,
                clock=lambda: now,
                actor="r",
                lease=timedelta(seconds=30),
                max_retries=3,
                reap=_reap_nothing,
            )
            sweeps = [await rescuer.sweep(term.term) for _ in range(3)]
            assert sweeps == [(1, 0), (0, 1), (0, 0)]
            assert set(queue.ids) == {lost.id, forgotten.id}
            told = [line for line in caplog.messages if line.startswith("rescuer.unreadable")]
            assert sorted(told) == sorted(
                f"rescuer.unreadable scan={scan_id}" for scan_id in (held.id, waiting.id)
            )
            found = await store.get(lost.id)
            assert found is not None
            assert found.state is State.QUEUED


async def test_health_tells_of_them(tmp_path: Path) -> None:
    """They are an issue of a database that answers; an unreadable worker is skipped too."""
    path = tmp_path / "safeurl.db"
    async with _opened(path) as store:
        scan, _ = scans = [make_scan(), make_scan()]
        await store.add(scans)
        await store.record_heartbeat(make_beat())
        service = Service(store, MemoryQueue(), lambda: NOW)
        before = await service.health()
        assert (before.unreadable, len(before.workers)) == ((), 1)
        _damage(path, [scan.id], _DAMAGE["a later version's profile"])
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("UPDATE workers SET started_at = '2026-99-99T00:00:00.000000Z'")
        health = await service.health()
        assert health.database.ok
        assert health.unreadable == (scan.id,)
        assert health.status == "unhealthy"
        assert any(scan.id in issue for issue in health.issues)
        assert health.workers == ()


@pytest.mark.parametrize(
    "damage",
    [
        "started_at = '2025-99-45T00:00:00.000000Z'",
        "outcome = 'later'",
        "owner = CAST(x'2fff' AS TEXT)",
    ],
)
async def test_the_times_of_other_attempts_are_read(tmp_path: Path, damage: str) -> None:
    """A damaged attempt costs `safeurl bench` that attempt only."""
    path = tmp_path / "safeurl.db"
    async with _opened(path) as store:
        scans = [await store_attempt(store, make_attempt()) for _ in range(3)]
        before = await store.recent_attempts(limit=5)
        assert len(before) == 3
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("PRAGMA ignore_check_constraints = ON")
            for (name,) in database.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'attempts'"
            ).fetchall():
                database.execute(f"DROP TRIGGER {name}")
            database.execute(f"UPDATE attempts SET {damage} WHERE scan_id = ?", (scans[1].id,))  # noqa: S608 - constants of this test
        left = await store.recent_attempts(limit=5)
        assert left == [each for each in before if each.scan_id != scans[1].id]


def test_full_busy_and_unreadable_are_three_kinds() -> None:
    """None is a subclass of another, so that a caller can distinguish them."""
    kinds = (StoreFullError, StoreBusyError, RowUnreadableError)
    for kind in kinds:
        assert [other for other in kinds if issubclass(kind, other)] == [kind]


async def _reap_nothing(_scan: str, _attempt: int) -> bool:
    return False


async def test_an_unreadable_row_leaves_no_snapshot_open(tmp_path: Path) -> None:
    """The WAL can be emptied, although the connection does nothing more."""
    path = tmp_path / "safeurl.db"
    async with _opened(path) as store:
        scan = make_scan()
        await store.add([scan])
        _damage(path, [scan.id], _DAMAGE["text that is no UTF-8"])
        with pytest.raises(RowUnreadableError):
            await store.get(scan.id)
        with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other:
            other.execute("UPDATE scan_counts SET scans = scans")
            # The error's traceback, which holds the cursor, is a cycle.
            gc.collect()
            [(is_busy, _, _)] = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        assert not is_busy
