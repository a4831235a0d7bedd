"""The lifetime of worker processes, their stop, and the effect of a scan that kills them."""

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from safeurl.model.audit import path_faults
from safeurl.model.scan import AuditEntry, Scan
from safeurl.ports.store import Store
from safeurl.service import Service
from safeurl.state import Outcome, State
from tests.support.docker_proxy import DockerProxy
from tests.support.pages import PageServer, Reply, Request, html
from tests.support.system import RunningWorker, System

_ENDED = re.compile(r"role\.ended name=worker-1 pid=(\d+) status=(-?\d+) restart_in_s=([\d.]+)")


def _system(folder: Path, **settings: str) -> System:
    return System(
        folder, **{"EGRESS_ALLOW_CIDRS": "127.0.0.1/32", "WORKER_CONCURRENCY": "1", **settings}
    )


def test_a_worker_leaves_at_once_when_its_scans_are_used_up(tmp_path: Path) -> None:
    """After this number of scans a new process starts, without the pause after a crash."""
    system = _system(tmp_path, MAX_SCANS_PER_WORKER="2", WORKER_MAX_LIFETIME="0")
    with PageServer(fallback=_page) as pages, RunningWorker(system) as run:
        scans = _scan(system, *(pages.url(f"/{number}") for number in range(5)))
        _until(lambda: run.log.read_text().count("worker.used_up scans=2 ") == 2)
        _until(lambda: len(_lives(run)) == 2)
    assert {scan.state for scan in scans} == {State.COMPLETED}
    lives = _lives(run)
    assert [(status, pause) for _, status, pause in lives] == [("0", "0.0")] * 2
    assert lives[0][0] != lives[1][0]


def test_a_worker_leaves_at_its_age_but_never_in_mid_scan(tmp_path: Path) -> None:
    """One that waits ends when its time is over; one that scans ends after the scan."""
    system = _system(tmp_path, MAX_SCANS_PER_WORKER="0", WORKER_MAX_LIFETIME="2")

    def slow(request: Request) -> Reply:
        request.sleep(5)
        return _page(request)

    with PageServer(fallback=slow) as pages, RunningWorker(system) as run:
        _until(lambda: "worker.used_up scans=0" in run.log.read_text())
        [scan] = _scan(system, pages.url("/"))
        _until(lambda: "worker.used_up scans=1" in run.log.read_text())
    assert (scan.state, scan.attempt) == (State.COMPLETED, 1)
    assert {(status, pause) for _, status, pause in _lives(run)} == {("0", "0.0")}


def test_a_worker_that_ends_before_the_engine_is_back_spends_no_attempt(tmp_path: Path) -> None:
    """It drops the wake-up it had taken: the scan waits, and runs once Docker is there again."""
    with DockerProxy(tmp_path / "docker.sock") as docker:
        system = _system(
            tmp_path / "state",
            # Long enough for `submit-scan` on a busy machine, after the pause below.
            WORKER_MAX_LIFETIME="8",
            MAX_SCANS_PER_WORKER="0",
            DOCKER_SOCKET_PATH=str(docker.path),
        )
        with PageServer(fallback=_page) as pages, RunningWorker(system) as run:
            _until(lambda: "worker.used_up" in run.log.read_text())
            # The next one has begun by then, and waits for a wake-up.
            time.sleep(2)
            docker.vanish()
            [scan_id] = _submit(system, pages.url("/"))
            _until(lambda: run.log.read_text().count("worker.used_up") > 2)
            assert "worker.dropped" in run.log.read_text()
            waiting = _get(system, scan_id)
            assert (waiting.state, waiting.attempt) == (State.QUEUED, 0)
            docker.start()
            [scan] = system.wait_final([scan_id], timeout_s=60)
    assert (scan.state, scan.attempt) == (State.COMPLETED, 1)


def test_a_worker_without_limits_stays(tmp_path: Path) -> None:
    """0 means never, for scans and for seconds."""
    system = _system(tmp_path, MAX_SCANS_PER_WORKER="0", WORKER_MAX_LIFETIME="0")
    with PageServer(fallback=_page) as pages, RunningWorker(system) as run:
        scans = _scan(system, *(pages.url(f"/{number}") for number in range(4)))
        assert _lives(run) == []
    assert {scan.state for scan in scans} == {State.COMPLETED}
    assert "worker.used_up" not in run.log.read_text()


def test_a_first_signal_ends_what_runs_and_takes_nothing_new(tmp_path: Path) -> None:
    """The running scan completes within the grace; the one behind it waits for the next worker."""
    system = _system(tmp_path)
    asked: list[Request] = []

    def slow(request: Request) -> Reply:
        asked.append(request)
        request.sleep(3)
        return _page(request)

    with PageServer(fallback=slow) as pages:
        with RunningWorker(system) as run:
            ids = _submit(system, pages.url("/first"), pages.url("/second"))
            _until(lambda: bool(asked))
            assert run.stop() == 0
        first, second = (_get(system, scan_id) for scan_id in ids)
        assert (first.state, first.attempt) == (State.COMPLETED, 1)
        assert (second.state, second.attempt) == (State.QUEUED, 0)
        with RunningWorker(system):
            [second] = system.wait_final(ids[1:], timeout_s=60)
    assert (second.state, second.attempt) == (State.COMPLETED, 1)


def test_a_second_signal_hands_the_scan_back(tmp_path: Path) -> None:
    """The scan is QUEUED with no lease and no container, and the next worker completes it."""
    system = _system(tmp_path)
    asked: list[Request] = []

    def slow_once(request: Request) -> Reply:
        asked.append(request)
        if len(asked) == 1:
            request.sleep(60)
        return _page(request)

    with PageServer(fallback=slow_once) as pages:
        with RunningWorker(system) as run:
            [scan_id] = _submit(system, pages.url("/"))
            _until(lambda: bool(asked))
            children = psutil.Process(run.pid).children(recursive=True)
            os.kill(run.pid, signal.SIGTERM)
            time.sleep(2)
            assert _get(system, scan_id).state is State.FETCHING
            assert _is_signed_for(system), "maintenance ends after the scan workers"
            assert run.stop() == 0
            _, alive = psutil.wait_procs(children, timeout=1)
            assert alive == []
        scan = _get(system, scan_id)
        assert (scan.state, scan.lease_owner, scan.attempt) == (State.QUEUED, None, 1)
        assert system.containers_left() == []
        assert "Traceback" not in run.log.read_text()
        assert "role.killed" not in run.log.read_text()
        with RunningWorker(system):
            [scan] = system.wait_final([scan_id], timeout_s=60)
    assert (scan.state, scan.attempt) == (State.COMPLETED, 2)
    trail = _trail(system, scan_id)
    assert path_faults(trail) == []
    [back] = [e for e in trail if (e.from_state, e.to_state) == (State.FETCHING, State.QUEUED)]
    assert "stopped" in (back.detail or "")


def test_a_scan_killed_while_the_worker_stops_waits_for_no_next_start(tmp_path: Path) -> None:
    """Maintenance, which ends later, takes it back and removes its container."""
    system = _system(tmp_path)
    asked: list[Request] = []

    def slow(request: Request) -> Reply:
        asked.append(request)
        request.sleep(60)
        return _page(request)

    with PageServer(fallback=slow) as pages, RunningWorker(system) as run:
        [scan_id] = _submit(system, pages.url("/"))
        _until(lambda: bool(asked))
        # So that no sweep before the last one finds it.
        maintenance = _maintenance(run)
        maintenance.suspend()
        owner = psutil.Process(int(str(_get(system, scan_id).lease_owner).rpartition(":")[2]))
        os.kill(run.pid, signal.SIGTERM)
        owner.kill()
        _until(lambda: not owner.is_running())
        assert _get(system, scan_id).state is State.FETCHING
        assert len(system.containers()) == 1
        # The supervisor has sent SIGTERM to maintenance by then.
        _until(lambda: len(psutil.Process(run.pid).children()) == _THOSE_WHO_SERVE)
        time.sleep(1)
        maintenance.resume()
        assert run.stop() == 0
    scan = _get(system, scan_id)
    assert (scan.state, scan.outcome) == (State.QUEUED, Outcome.LEASE_LOST)
    assert system.containers_left() == []


#: Gateway, Valkey and maintenance.
_THOSE_WHO_SERVE = 3


def _maintenance(run: RunningWorker) -> psutil.Process:
    """Return the third of the processes that a worker with an embedded Valkey starts."""
    children = psutil.Process(run.pid).children()
    return sorted(children, key=lambda child: (child.create_time(), child.pid))[2]


def test_a_poisoned_scan_does_not_take_the_fleet_along(tmp_path: Path) -> None:
    """A scan that kills its worker each time ends FAILED after its retries; the others complete."""
    system = _system(tmp_path, WORKER_CONCURRENCY="2", LEASE_SECONDS="3", MAX_RETRIES="2")

    def slow_poison(request: Request) -> Reply:
        if request.path == "/poison":
            request.sleep(60)
        return _page(request)

    with PageServer(fallback=slow_poison) as pages, RunningWorker(system):
        [poison] = _submit(system, pages.url("/poison"))
        others = _submit(system, *(pages.url(f"/{number}") for number in range(6)))
        killed = _kill_each_owner(system, poison)
        done = system.wait_final(others, timeout_s=60)
    scan = _get(system, poison)
    assert (scan.state, scan.outcome) == (State.FAILED, Outcome.LEASE_LOST)
    assert len(killed) == scan.attempt == 3
    assert path_faults(_trail(system, poison)) == []
    assert {(each.state, each.attempt) for each in done} == {(State.COMPLETED, 1)}
    assert system.containers_left() == []


def _kill_each_owner(system: System, scan_id: str) -> list[str]:
    """Kill the process of each attempt once, until the scan has ended."""
    killed: list[str] = []
    deadline = time.monotonic() + 90
    while (scan := _get(system, scan_id)).state is not State.FAILED:
        assert time.monotonic() < deadline, f"it never ended: {scan}"
        if scan.state is State.FETCHING and scan.lease_owner not in (None, *killed):
            owner = str(scan.lease_owner)
            os.kill(int(owner.rpartition(":")[2]), signal.SIGKILL)
            killed.append(owner)
        time.sleep(0.1)
    return killed


def _page(_request: Request) -> Reply:
    return html("<title>Hi</title>")


def _submit(system: System, *urls: str) -> list[str]:
    done = system.run(*urls, program="submit-scan")
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def _scan(system: System, *urls: str) -> list[Scan]:
    return system.wait_final(_submit(system, *urls), timeout_s=60)


def _get(system: System, scan_id: str) -> Scan:
    async def get(store: Store) -> Scan | None:
        return await store.get(scan_id)

    scan = system.with_store(get)
    assert scan is not None
    return scan


def _trail(system: System, scan_id: str) -> list[AuditEntry]:
    async def ask(store: Store) -> list[AuditEntry]:
        return await store.audit(scan_id)

    return system.with_store(ask)


def _is_signed_for(system: System) -> bool:
    async def ask(service: Service) -> bool:
        return bool((await service.health()).workers)

    return system.with_service(ask)


def _lives(run: RunningWorker) -> list[tuple[str, str, str]]:
    """Return process, status and pause of each end of the one worker before the stop."""
    return _ENDED.findall(run.log.read_text())


def _until(is_true: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)
