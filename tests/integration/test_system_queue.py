"""The effect on scans if Redis or a worker is missing."""

import os
import signal
import time
from pathlib import Path

import psutil
from rq.suspension import suspend

from safeurl.bootstrap import redis_server
from safeurl.model.audit import path_faults
from safeurl.ports.store import Store
from safeurl.state import State
from tests.support.pages import PageServer, Reply, Request, html
from tests.support.system import RunningWorker, System
from tests.support.tcp_valkey import TcpValkey
from worker.runtime.scan_worker import ANSWER_TIMEOUT_S, WAIT_S


def _system(folder: Path, **settings: str) -> System:
    return System(folder, EGRESS_ALLOW_CIDRS="127.0.0.1/32", **settings)


def test_submit_with_redis_down_is_kept_and_runs_later(tmp_path: Path) -> None:
    """The scan is recorded, the command names the fault, and a worker runs it later."""
    system = _system(tmp_path, WORKER_CONCURRENCY="1")
    with PageServer({"/": lambda _: html("<title>Hi</title>")}) as pages:
        done = system.run(pages.url("/"), program="submit-scan")
        assert done.returncode == 0, done.stderr
        assert "The embedded queue does not answer" in done.stderr
        assert "recorded" in done.stderr
        scan_id = done.stdout.strip()
        with RunningWorker(system):
            [scan] = system.wait_final([scan_id], timeout_s=60)
    assert scan.state is State.COMPLETED


def test_a_leader_that_reaches_no_queue_lets_another_lead(tmp_path: Path) -> None:
    """The leader's connection to Redis is broken; a host with a working one pushes the scans."""
    with TcpValkey(tmp_path) as valkey, PageServer({"/": lambda _: html("Hi")}) as pages:
        given = {"WORKER_CONCURRENCY": "1", "LEASE_SECONDS": "3"}
        cut_off = _system(tmp_path, **given, REDIS_HOST="127.0.0.1", REDIS_PORT="1")
        system = _system(tmp_path, **given, **valkey.settings)
        with RunningWorker(cut_off) as leader:
            _until_leading(leader)
            with RunningWorker(system):
                told = cut_off.run(pages.url("/"), program="submit-scan")
                assert "Redis does not answer" in told.stderr
                [scan] = system.wait_final([told.stdout.strip()], timeout_s=40)
            assert "steward.steps_aside reason=queue" in leader.log.read_text()
    assert scan.state is State.COMPLETED


def _until_leading(run: RunningWorker) -> None:
    deadline = time.monotonic() + 20
    while "election.won" not in run.log.read_text():
        assert time.monotonic() < deadline, "it never led"
        time.sleep(0.05)


def test_a_connection_that_died_without_a_word_is_given_up_soon(tmp_path: Path) -> None:
    """A response may take only little longer than a worker waits for a wake-up."""
    with TcpValkey(tmp_path) as valkey:
        server = redis_server(_system(tmp_path, **valkey.settings).settings)
        client = server.connect_worker(ANSWER_TIMEOUT_S)
        connection = client.connection_pool.get_connection()
        assert WAIT_S < (connection.socket_timeout or 0) <= 40
        client.connection_pool.release(connection)
        client.close()


def test_a_redis_that_refuses_a_worker_is_not_asked_at_once_again(tmp_path: Path) -> None:
    """If the access rules lack what it needs, a line is logged at intervals, and it recovers."""
    with TcpValkey(tmp_path) as valkey, PageServer({"/": lambda _: html("Hi")}) as pages:
        client = valkey.client()
        refuse, allow = (("ACL", "SETUSER", "default", f"{sign}blpop") for sign in "-+")
        client.execute_command(*refuse)  # type: ignore[no-untyped-call]  # redis types a part
        system = _system(tmp_path, WORKER_CONCURRENCY="1", **valkey.settings)
        with RunningWorker(system) as run:
            time.sleep(4)
            assert run.log.read_text().count("worker.redis_lost at=take") == 1
            client.execute_command(*allow)  # type: ignore[no-untyped-call]  # the same
            scan_id = system.run(pages.url("/"), program="submit-scan").stdout.strip()
            [scan] = system.wait_final([scan_id], timeout_s=20)
        client.close()
    assert scan.state is State.COMPLETED


def test_rq_suspend_is_not_for_us(tmp_path: Path) -> None:
    """Other programs on this Redis may suspend their workers; ours continue."""
    system = _system(tmp_path, WORKER_CONCURRENCY="1")
    with PageServer({"/": lambda _: html("<title>Hi</title>")}) as pages, RunningWorker(system):
        connection = redis_server(system.settings).connect_worker(40)
        suspend(connection)
        connection.close()
        scan_id = system.run(pages.url("/"), program="submit-scan").stdout.strip()
        [scan] = system.wait_final([scan_id], timeout_s=20)
    assert scan.state is State.COMPLETED


def test_a_killed_worker_loses_nothing(tmp_path: Path) -> None:
    """A worker killed in mid-scan: its lease runs out and another attempt ends the scan."""
    system = _system(tmp_path, WORKER_CONCURRENCY="1", LEASE_SECONDS="3")

    seen: list[Request] = []

    def slow_once(request: Request) -> Reply:
        seen.append(request)
        if len(seen) == 1:
            request.sleep(6)
        return html("<title>Hi</title>")

    with PageServer({"/": slow_once}) as pages, RunningWorker(system) as run:
        scan_id = system.run(pages.url("/"), program="submit-scan").stdout.strip()
        _wait_for_state(system, scan_id, State.FETCHING)
        time.sleep(1)
        _kill_workers(run.pid)
        [scan] = system.wait_final([scan_id], timeout_s=60)

    async def faults(store: Store) -> list[str]:
        return path_faults(await store.audit(scan_id))

    assert (scan.state, scan.attempt) == (State.COMPLETED, 2)
    assert system.with_store(faults) == []


def test_sigterm_finishes_what_runs(tmp_path: Path) -> None:
    """A stop during a scan waits for the scan, takes no other and leaves no process."""
    system = _system(tmp_path, WORKER_CONCURRENCY="1")

    def slow(request: Request) -> Reply:
        request.sleep(3)
        return html("<title>Hi</title>")

    with PageServer({"/": slow}) as pages, RunningWorker(system) as run:
        scan_id = system.run(pages.url("/"), program="submit-scan").stdout.strip()
        _wait_for_state(system, scan_id, State.FETCHING)
        children = psutil.Process(run.pid).children(recursive=True)
        assert run.stop() == 0
        _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []
    [scan] = system.wait_final([scan_id], timeout_s=1)
    assert scan.state is State.COMPLETED
    assert system.containers_left() == []


def test_a_stop_without_redis_finishes_what_runs(tmp_path: Path) -> None:
    """If Redis is lost, a worker that is stopped still finishes its job."""
    system = _system(tmp_path, WORKER_CONCURRENCY="1")

    def slow(request: Request) -> Reply:
        request.sleep(3)
        return html("<title>Hi</title>")

    with PageServer({"/": slow}) as pages, RunningWorker(system) as run:
        scan_id = system.run(pages.url("/"), program="submit-scan").stdout.strip()
        _wait_for_state(system, scan_id, State.FETCHING)
        children = psutil.Process(run.pid).children(recursive=True)
        [valkey] = [child for child in children if "valkey" in child.name()]
        valkey.kill()
        assert run.stop() == 0
        _, alive = psutil.wait_procs(children, timeout=1)
    assert alive == []
    [scan] = system.wait_final([scan_id], timeout_s=1)
    assert (scan.state, scan.attempt) == (State.COMPLETED, 1)


def _wait_for_state(system: System, scan_id: str, state: State) -> None:
    async def ask(store: Store) -> bool:
        scan = await store.get(scan_id)
        return scan is not None and scan.state is state

    deadline = time.monotonic() + 30
    while not system.with_store(ask):
        assert time.monotonic() < deadline, f"the scan never was {state}"
        time.sleep(0.05)


def _kill_workers(supervisor: int) -> None:
    """Kill each worker and the child that runs its job, as a crash would."""
    for child in psutil.Process(supervisor).children():
        grandchildren = child.children(recursive=True)
        if grandchildren:
            for process in (child, *grandchildren):
                os.kill(process.pid, signal.SIGKILL)
