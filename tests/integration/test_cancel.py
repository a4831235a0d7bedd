"""Cancelling for real: against a worker that finishes, and with a sandbox that runs."""

import asyncio
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from safeurl.adapters.memory.queue import MemoryQueue
from safeurl.errors import ScanFinishedError
from safeurl.model.audit import path_faults
from safeurl.model.scan import Scan
from safeurl.ports.store import Store
from safeurl.service import Service
from safeurl.state import Outcome, State
from tests.support.builders import NOW, WORKER, analysed, brought_to, make_ending
from tests.support.claimer import open_target
from tests.support.installation import Installation, installation, running
from tests.support.sqld import Sqld

_SCANS = 150
_AT_ONCE = 10
#: What is promised: so long after it was cancelled nothing of a scan runs any more.
_PROMISED_S = 2.0


@pytest.fixture(params=["sqlite", "sqld"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return a file or URL for `open_target`, with nothing in it yet."""
    if request.param == "sqlite":
        yield str(tmp_path / "race.db")
        return
    with Sqld(tmp_path / "sqld") as server:
        yield f"ws://{server.authority}"


async def _complete(store: Store, scan: Scan) -> bool:
    """Move a running scan to COMPLETED like its worker; return whether it succeeded."""
    held = scan if scan.state is State.ANALYZING else await analysed(store, scan)
    if held is None:
        return False
    return await store.finish(held, make_ending(held), now=NOW, actor=WORKER) is not None


async def _cancel(service: Service, scan: Scan) -> bool:
    try:
        await service.cancel(scan.id, actor="cli")
    except ScanFinishedError:
        return False
    return True


async def _check_end(store: Store, scan: Scan, *, cancelled: bool) -> None:
    held, result = await store.get(scan.id), await store.result(scan.id)
    assert held is not None
    assert result is not None
    end = (State.FAILED, Outcome.CANCELLED) if cancelled else (State.COMPLETED, Outcome.OK)
    assert (held.state, held.outcome, result.outcome) == (*end, end[1])
    assert path_faults(await store.audit(scan.id)) == []


async def test_a_cancel_and_a_completion_have_one_winner(target: str) -> None:
    """Both act at the same time on their own connections: each scan ends once."""

    async def race(ours: Store, theirs: Store) -> None:
        service = Service(ours, MemoryQueue(), lambda: NOW)
        room = asyncio.Semaphore(_AT_ONCE)

        async def one(number: int) -> None:
            async with room:
                # A worker that still analyses has two writes to make, one that concludes has one.
                state = (State.FETCHING, State.ANALYZING)[number % 2]
                scan = await brought_to(theirs, state)
                cancelled, completed = await asyncio.gather(
                    _cancel(service, scan), _complete(theirs, scan)
                )
                assert cancelled is not completed
                await _check_end(ours, scan, cancelled=cancelled)

        await asyncio.gather(*(one(number) for number in range(_SCANS)))

    ours, theirs = open_target(target), open_target(target)
    try:
        await ours.migrate()
        await race(ours, theirs)
    finally:
        await ours.close()
        await theirs.close()


def _over_http(site: Installation, scan_id: str) -> None:
    answer = site.api.delete(f"/api/scans/{scan_id}")
    assert (answer.status_code, answer.json()["outcome"]) == (HTTPStatus.OK, "cancelled")


def _by_command(site: Installation, scan_id: str) -> None:
    done = site.system.run("cancel", scan_id)
    assert (done.returncode, done.stdout) == (0, f"{scan_id}\n"), done.stderr


@pytest.mark.parametrize("cancel", [_over_http, _by_command])
def test_a_running_scan_is_cancelled_and_its_container_is_gone(
    tmp_path: Path, cancel: Callable[[Installation, str], None]
) -> None:
    """Within two seconds no process of it runs, and its worker takes the next scan."""
    with installation(tmp_path) as site:
        scan_id = site.begin_held("/held")
        assert len(site.system.containers()) == 1
        cancel(site, scan_id)
        cancelled_s = time.monotonic()
        assert site.scan(scan_id).outcome is Outcome.CANCELLED
        while site.system.containers():
            assert time.monotonic() - cancelled_s < _PROMISED_S, "its container still runs"
            time.sleep(0.05)
        site.release()
        site.expect_completed(site.submit("/next").ids)
        scan = site.scan(scan_id)
        assert (scan.state, scan.attempt) == (State.FAILED, 1)
        assert _path_faults(site, scan_id) == []


def test_a_queued_scan_is_cancelled_without_a_worker(tmp_path: Path) -> None:
    """It ends at once, and a worker that starts later opens only the other scans."""
    with installation(tmp_path, start=False) as site:
        cancelled, kept = site.submit("/cancelled", "/kept").ids
        _by_command(site, cancelled)
        assert site.scan(cancelled).state is State.FAILED
        with running(site):
            site.expect_completed([kept])
        assert site.asked == ["/kept"]
        assert site.scan(cancelled).attempt == 0


def _path_faults(site: Installation, scan_id: str) -> list[str]:
    async def faults(store: Store) -> list[str]:
        return path_faults(await store.audit(scan_id))

    return site.system.with_store(faults)
