"""How `safeurl scan` ends when it is interrupted, has company, or lacks a part."""

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from safeurl.model.scan import Scan
from safeurl.ports.store import Store
from safeurl.state import Outcome, State
from tests.support.docker_proxy import DockerProxy
from tests.support.pages import PageServer, Reply, Request, html
from tests.support.system import System

_PAGE = "<title>Hello</title><p>A page with some words on it.</p>" * 3


def _slow(request: Request) -> Reply:
    request.sleep(4)
    return html(_PAGE)


@pytest.fixture(scope="module")
def pages() -> Iterator[PageServer]:
    """Serve a slow page."""
    routes = {"/": lambda _: html(_PAGE), "/slow": _slow}
    with PageServer(routes) as server:
        yield server


@pytest.fixture
def system(tmp_path: Path) -> System:
    """Return a separate installation."""
    return System(tmp_path, EGRESS_ALLOW_CIDRS="127.0.0.1/32")


class _Interrupted:
    """A `safeurl scan` that got signals while its sandbox ran."""

    def __init__(
        self, system: System, url: str, *signals: signal.Signals, apart_s: float = 1.0
    ) -> None:
        process = system.command("scan", url)
        _until_fetching(system, process)
        self._tree = psutil.Process(process.pid).children(recursive=True)
        for number in signals:
            process.send_signal(number)
            time.sleep(apart_s)
        _, self.err = process.communicate(timeout=60)
        self.code = process.returncode

    def leftovers(self, timeout_s: float) -> list[psutil.Process]:
        """Return its processes that still run after so many seconds."""
        _, alive = psutil.wait_procs(self._tree, timeout=timeout_s)
        return alive


def _until_fetching(system: System, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while State.FETCHING not in {scan.state for scan in _scans(system)}:
        assert process.poll() is None
        assert time.monotonic() < deadline, "no sandbox was started"
        time.sleep(0.1)


def _scans(system: System) -> list[Scan]:
    async def ask(store: Store) -> list[Scan]:
        return await store.page(limit=10)

    return system.with_store(ask)


def _ends(system: System) -> list[tuple[State, Outcome | None]]:
    return [(scan.state, scan.outcome) for scan in _scans(system)]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_ends_all_in_order(
    system: System, pages: PageServer, number: signal.Signals, code: int
) -> None:
    """The scan is cancelled, its sandbox ends, and no process or container is left."""
    run = _Interrupted(system, pages.url("/slow"), number)
    assert run.code == code, run.err
    assert "The scan is cancelled." in run.err
    assert run.leftovers(0) == []
    assert _ends(system) == [(State.FAILED, Outcome.CANCELLED)]
    assert system.containers_left() == []


def test_the_second_ctrl_c_does_not_wait(system: System, pages: PageServer) -> None:
    """The first one has cancelled the scan for good, so that nothing of it stays queued."""
    run = _Interrupted(system, pages.url("/slow"), signal.SIGINT, signal.SIGINT)
    assert run.code == 130
    assert "a second Ctrl-C" in run.err
    assert run.leftovers(2) == []
    assert _ends(system) == [(State.FAILED, Outcome.CANCELLED)]
    assert system.containers_left() == []


def test_signals_at_once_cancel_as_well(system: System, pages: PageServer) -> None:
    """The second one does not overtake the cancel."""
    three = (signal.SIGINT, signal.SIGINT, signal.SIGTERM)
    run = _Interrupted(system, pages.url("/slow"), *three, apart_s=0)
    assert run.code == 130
    assert _ends(system) == [(State.FAILED, Outcome.CANCELLED)]
    assert run.leftovers(2) == []
    assert system.containers_left() == []


def test_a_killed_command_takes_its_worker_along(system: System, pages: PageServer) -> None:
    """SIGKILL runs no `finally`; the kernel signals the worker, which finishes its scan."""
    run = _Interrupted(system, pages.url("/slow"), signal.SIGKILL)
    assert run.leftovers(30) == []
    assert [scan.state for scan in _scans(system)] == [State.COMPLETED]


def test_commands_beside_each_other(system: System, pages: PageServer) -> None:
    """On one state folder, the first to end removes neither queue nor gateway of the others."""
    running = [system.command("scan", pages.url(path)) for path in ("/", "/slow", "/")]
    codes = {}
    for process in running:
        _, err = process.communicate(timeout=90)
        codes[process.returncode] = err
    assert set(codes) == {0}, codes
    assert {(scan.state, scan.attempt) for scan in _scans(system)} == {(State.COMPLETED, 1)}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1"}, "Redis does not answer"),
        ({"EGRESS_DIR": "/nonexistent"}, "gateway"),
        ({"DOCKER_SOCKET_PATH": "/nonexistent"}, "Docker does not answer"),
        ({"FETCHER_IMAGE": "safeurl-nothing:latest"}, "safeurl-nothing:latest"),
    ],
)
def test_a_part_that_is_away_is_named(tmp_path: Path, settings: dict[str, str], words: str) -> None:
    """A scan that could only wait for ever is not begun: exit 75 and the reason."""
    system = System(tmp_path, **settings)
    done = system.run("scan", "https://example.com/", timeout_s=60)
    assert done.returncode == 75
    assert words in done.stderr
    assert _scans(system) == []


def test_an_engine_that_goes_before_the_scan_begins(tmp_path: Path, pages: PageServer) -> None:
    """The command does not wait for ever either: exit 75, and no attempt is spent."""
    with DockerProxy(tmp_path / "docker.sock") as docker:
        settings = {"DOCKER_SOCKET_PATH": str(docker.path), "EGRESS_ALLOW_CIDRS": "127.0.0.1/32"}
        system = System(tmp_path / "state", **settings)
        process = system.command("scan", pages.url("/"))
        deadline = time.monotonic() + 30
        while not (system.settings.state_dir / "worker.log").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        docker.vanish()  # its worker has still to start the queue
        _, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert "Docker does not answer" in err
    assert "stays queued" in err
    assert [(scan.state, scan.attempt) for scan in _scans(system)] == [(State.QUEUED, 0)]
