"""A worker with a warm pool: scans use it, `safeurl status` shows it, and nothing is left."""

import time
from collections.abc import Callable
from pathlib import Path

from safeurl.service import Service
from safeurl.services.submit import Submission
from safeurl.state import State
from tests.support.pages import PageServer, html
from tests.support.system import RunningWorker, System
from worker.sandbox.pool.client import PoolClient

_WAIT_S = 60.0
_SCANS = 6


def _until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + _WAIT_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.1)


def _submit(system: System, urls: list[str]) -> list[str]:
    async def act(service: Service) -> Submission:
        return await service.submit(urls, source="test")

    return [scan.id for scan in system.with_service(act).scans]


def test_scans_of_a_worker_use_its_pool(tmp_path: Path) -> None:
    """The first scan finds a sandbox that was started before it; all complete."""
    system = System(tmp_path, EGRESS_ALLOW_CIDRS="127.0.0.1/32", POOL_SIZE="2")
    pool = PoolClient(system.settings.pool_dir)
    with (
        PageServer(routes={"/": lambda _request: html("<title>Warm</title>hello")}) as pages,
        RunningWorker(system) as worker,
    ):
        _until(lambda: (facts := pool.facts()) is not None and facts.size == 2)
        scans = system.wait_final(_submit(system, [pages.url("/")]), _WAIT_S)
        assert (facts := pool.facts()) is not None
        assert (facts.hits, facts.waited, facts.misses) == (1, 0, {})
        scans += system.wait_final(_submit(system, [pages.url("/")] * (_SCANS - 1)), _WAIT_S)
        assert {scan.state for scan in scans} == {State.COMPLETED}
        assert (facts := pool.facts()) is not None
        assert facts.hits + sum(facts.misses.values()) == _SCANS
        # The heartbeat shows it within its interval.
        _until(lambda: "pool: 2 of 2 sandboxes ready" in system.run("status").stdout)
        assert worker.stop() == 0
        assert system.containers_left() == []
