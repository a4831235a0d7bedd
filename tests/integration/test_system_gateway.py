"""The effect on scans if the egress gateway ends during them."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from safeurl.model.report import FetchRequest
from safeurl.model.scan import AuditEntry
from safeurl.ports.store import Store
from safeurl.state import Outcome, State
from tests.support.pages import PageServer, Reply, Request, html
from tests.support.system import RunningWorker, System
from worker.egress.client.adapter import GatewayEgress
from worker.egress.client.client import EgressClient
from worker.egress.protocol import EgressPolicy


def _system(folder: Path, *, backoff_s: int) -> System:
    """Return an installation whose worker runs one scan at a time."""
    return System(
        folder,
        EGRESS_ALLOW_CIDRS="127.0.0.1/32",
        WORKER_CONCURRENCY="1",
        RETRY_BACKOFF_SECONDS=str(backoff_s),
    )


def _slow_page(asked: list[Request], *, times: int) -> Callable[[Request], Reply]:
    """Return a page that records its requests and answers the first ones late."""

    def serve(request: Request) -> Reply:
        asked.append(request)
        if len(asked) <= times:
            request.sleep(20)
        return html("<title>Hi</title>")

    return serve


def test_a_gateway_killed_in_mid_scan(tmp_path: Path) -> None:
    """The scan gets a clear outcome, the gateway comes back, the next attempt completes."""
    system = _system(tmp_path, backoff_s=1)
    asked: list[Request] = []
    with PageServer({"/": _slow_page(asked, times=1)}) as pages, RunningWorker(system) as running:
        scan_id = system.run(pages.url("/"), program="submit-scan").stdout.strip()
        _until_asked(asked)
        os.kill(_gateway(running.pid), signal.SIGKILL)
        [scan] = system.wait_final([scan_id], timeout_s=60)

    async def trail(store: Store) -> list[AuditEntry]:
        return await store.audit(scan_id)

    assert (scan.state, scan.attempt) == (State.COMPLETED, 2)
    put_off = [e for e in system.with_store(trail) if e.to_state is State.QUEUED][-1]
    assert put_off.outcome is Outcome.SANDBOX_UNAVAILABLE
    assert "gateway" in (put_off.detail or "")
    assert system.containers_left() == []
    sockets = system.settings.gateway_dir / "sockets"
    assert not sockets.exists() or list(sockets.iterdir()) == []


@pytest.mark.parametrize("whole", [False, True], ids=["supervisor", "tree"])
def test_a_killed_worker_costs_its_neighbours_no_pause(tmp_path: Path, *, whole: bool) -> None:
    """Two workers on one state folder share a gateway, a queue and a leader; one is killed.

    The gateway of all running sandboxes ends with it. Their scans are tried again at once by the
    other worker, which then leads.
    """
    system = _system(tmp_path, backoff_s=600)
    asked: list[Request] = []
    with (
        PageServer({"/1": _slow_page(asked, times=2), "/2": _slow_page(asked, times=2)}) as pages,
        RunningWorker(system) as killed,
        RunningWorker(system) as left,
    ):
        urls = [pages.url("/1"), pages.url("/2")]
        scan_ids = [system.run(u, program="submit-scan").stdout.strip() for u in urls]
        _until_asked(asked, 2)
        family = [psutil.Process(killed.pid)]
        family += family[0].children(recursive=True) if whole else []
        for process in family:
            process.kill()
        scans = system.wait_final(scan_ids, timeout_s=60)
        _until_said(left, "election.won term=2")
    assert [(scan.state, scan.attempt) for scan in scans] == [(State.COMPLETED, 2)] * 2
    assert system.containers_left() == []


def test_a_socket_whose_worker_is_gone_is_closed(tmp_path: Path) -> None:
    """Maintenance closes it long before its deadline, once its attempt is over by the database."""
    system = System(tmp_path)
    with RunningWorker(system):
        client = EgressClient(system.settings.gateway_dir)
        egress = GatewayEgress(client, EgressPolicy(), instance=system.settings.instance)
        request = FetchRequest(scan="gone", attempt=1, url="https://example.com/")
        # The worker runs in processes of its own; this one needs a loop for the call alone.
        endpoint = asyncio.run(egress.open(request, deadline_s=600))
        assert Path(endpoint.directory).exists()
        deadline = time.monotonic() + 60
        while Path(endpoint.directory).exists():
            assert time.monotonic() < deadline, "the socket was never closed"
            time.sleep(0.2)


def _until_said(worker: RunningWorker, words: str) -> None:
    deadline = time.monotonic() + 30
    while words not in worker.log.read_text():
        assert time.monotonic() < deadline, worker.log.read_text()[-2000:]
        time.sleep(0.05)


def _until_asked(asked: list[Request], count: int = 1) -> None:
    deadline = time.monotonic() + 30
    while len(asked) < count:
        assert time.monotonic() < deadline, "the page was never asked for"
        time.sleep(0.05)


def _gateway(supervisor: int) -> int:
    """Return the worker's child that owns the control socket."""
    for child in psutil.Process(supervisor).children():
        paths = [connection.laddr for connection in child.net_connections(kind="unix")]
        if any(str(path).endswith("control.sock") for path in paths):
            return child.pid
    raise LookupError("no child of the worker is the gateway")
