"""Ctrl-C and its kin in `safeurl scan`, in a real terminal, whatever the scan is about to do."""

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from safeurl.model.scan import Scan
from safeurl.ports.store import Store
from safeurl.state import Outcome, State
from tests.support.docker_proxy import DockerProxy
from tests.support.pages import PageServer, Reply, Request, html
from tests.support.system import System
from tests.support.terminal import Terminal

_PAGE = "<title>Hello</title><p>A page with some words on it.</p>" * 3
_CANCELLED = [(State.FAILED, Outcome.CANCELLED)]
#: Longer than any of these tests waits.
_LONG_S = 20

Act = Callable[[Terminal], None]


def _ctrl_c(terminal: Terminal) -> None:
    terminal.press_ctrl_c()


def _ctrl_c_twice(terminal: Terminal) -> None:
    """Press it again once the first one has been answered."""
    terminal.press_ctrl_c()
    terminal.wait_for(lambda: "second Ctrl-C" in terminal.text, may_end=True)
    terminal.press_ctrl_c()


def _ctrl_c_at_once(terminal: Terminal) -> None:
    for _ in range(3):
        terminal.press_ctrl_c()


def _close(terminal: Terminal) -> None:
    terminal.close()


def _terminate(terminal: Terminal) -> None:
    terminal.process.send_signal(signal.SIGTERM)


#: Each with the exit code; the one of a closed terminal is not seen.
_ACTS: list[tuple[Act, int | None]] = [
    (_ctrl_c, 130),
    (_ctrl_c_twice, 130),
    (_ctrl_c_at_once, 130),
    (_terminate, 143),
    (_close, None),
]


@pytest.fixture(scope="module")
def pages() -> Iterator[PageServer]:
    """Serve a quick page and a slow one."""

    def slow(request: Request) -> Reply:
        request.sleep(_LONG_S)
        return html(_PAGE)

    with PageServer({"/": lambda _: html(_PAGE), "/slow": slow}) as server:
        yield server


def _scans(system: System) -> list[Scan]:
    async def ask(store: Store) -> list[Scan]:
        return await store.page(limit=10)

    return system.with_store(ask)


def _ends(system: System) -> list[tuple[State, Outcome | None]]:
    return [(scan.state, scan.outcome) for scan in _scans(system)]


def _until(state: State, system: System, terminal: Terminal) -> None:
    terminal.wait_for(lambda: state in {scan.state for scan in _scans(system)})


def _family(terminal: Terminal) -> list[psutil.Process]:
    return psutil.Process(terminal.process.pid).children(recursive=True)


def _left(family: list[psutil.Process]) -> list[psutil.Process]:
    """Return those of the family that do not end with the command."""
    _, alive = psutil.wait_procs(family, timeout=2)
    return alive


@pytest.mark.parametrize(("act", "code"), _ACTS)
def test_while_the_sandbox_runs(
    tmp_path: Path, pages: PageServer, act: Act, code: int | None
) -> None:
    """The scan is cancelled, its sandbox ends, and no process is left."""
    system = System(tmp_path, EGRESS_ALLOW_CIDRS="127.0.0.1/32")
    with Terminal(system.environ, "scan", pages.url("/slow")) as terminal:
        _until(State.FETCHING, system, terminal)
        family = _family(terminal)
        act(terminal)
        ended = terminal.ended()
        if code is not None:
            assert ended == code, terminal.text
            assert "The scan is cancelled." in terminal.text
    assert _ends(system) == _CANCELLED
    assert _left(family) == []
    assert system.containers_left() == []


@pytest.mark.parametrize(("act", "code"), [(_ctrl_c, 130), (_ctrl_c_twice, 130), (_close, None)])
def test_while_the_scan_waits(
    tmp_path: Path, pages: PageServer, act: Act, code: int | None
) -> None:
    """It is cancelled before any sandbox starts, and no later worker claims it."""
    with DockerProxy(tmp_path / "docker.sock") as docker:
        settings = {"DOCKER_SOCKET_PATH": str(docker.path), "EGRESS_ALLOW_CIDRS": "127.0.0.1/32"}
        system = System(tmp_path / "state", **settings)
        with Terminal(system.environ, "scan", pages.url("/slow")) as terminal:
            terminal.wait_for((system.settings.state_dir / "worker.log").exists)
            docker.vanish()  # its worker has still to start the queue
            _until(State.QUEUED, system, terminal)
            family = _family(terminal)
            act(terminal)
            ended = terminal.ended()
            if code is not None:
                assert ended == code, terminal.text
    assert [(scan.state, scan.outcome, scan.attempt) for scan in _scans(system)] == [
        (*_CANCELLED[0], 0)
    ]
    assert _left(family) == []


@pytest.mark.parametrize(("act", "code"), [(_ctrl_c, 130), (_terminate, 143), (_close, None)])
def test_before_the_scan_is_recorded(tmp_path: Path, act: Act, code: int | None) -> None:
    """Nothing is recorded, and no process is left."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(silent.getsockname()[1])}
        system = System(tmp_path, **settings)
        with Terminal(system.environ, "scan", "https://example.com/") as terminal:
            connection, _ = silent.accept()
            with connection:
                family = _family(terminal)
                act(terminal)
                ended = terminal.ended()
            if code is not None:
                assert ended == code, terminal.text
    assert _scans(system) == []
    assert _left(family) == []


@pytest.mark.parametrize("act", [_ctrl_c_at_once, _close])
def test_as_the_page_comes(tmp_path: Path, act: Act) -> None:
    """Whichever is first, the cancel or the verdict, stays; nothing is tried again."""
    terminals: list[Terminal] = []

    def answer(_request: Request) -> Reply:
        act(terminals[0])
        return html(_PAGE)

    system = System(tmp_path, EGRESS_ALLOW_CIDRS="127.0.0.1/32")
    with (
        PageServer({"/": answer}) as server,
        Terminal(system.environ, "scan", server.url("/")) as terminal,
    ):
        terminals.append(terminal)
        terminal.wait_for(lambda: _scans(system) != [])
        family = _family(terminal)
        terminal.ended()
    [end] = _ends(system)
    assert end in {*_CANCELLED, (State.COMPLETED, Outcome.OK)}
    assert _left(family) == []
    assert system.containers_left() == []


@pytest.mark.parametrize("act", [_ctrl_c, _terminate])
def test_after_the_verdict(tmp_path: Path, pages: PageServer, act: Act) -> None:
    """The verdict stays, and the exit code is the signal's or the verdict's."""
    system = System(tmp_path, EGRESS_ALLOW_CIDRS="127.0.0.1/32")
    with Terminal(system.environ, "scan", pages.url("/")) as terminal:
        terminal.wait_for(lambda: _scans(system) != [])
        family = _family(terminal)
        terminal.wait_for(lambda: _ends(system)[0][0] is State.COMPLETED, may_end=True)
        act(terminal)
        assert terminal.ended() in {0, 130, 143}
    assert _ends(system) == [(State.COMPLETED, Outcome.OK)]
    assert _left(family) == []
