"""Engines of other versions, and engines that do not respond, as servers on a unix socket."""

import os
import socket
from pathlib import Path

import pytest

from safeurl.errors import SandboxUnavailableError
from tests.support.fake_engine import engine
from worker.sandbox.engine import ContainerGoneError, Engine


@pytest.mark.parametrize(
    ("speaks", "least", "agreed", "questions"),
    [
        ("1.41", "1.12", "1.41", ["/_ping"]),
        ("1.45", "1.24", "1.45", ["/_ping"]),
        ("1.52", "1.44", "1.45", ["/_ping", "/version"]),
        ("1.60", "1.50", "1.50", ["/_ping", "/version"]),
    ],
)
def test_the_api_version_suits_the_engine(
    tmp_path: Path, speaks: str, least: str, agreed: str, questions: list[str]
) -> None:
    """Old, current and future engines are used with a version that they support."""
    path = tmp_path / "docker.sock"
    with engine(path, ApiVersion=speaks, MinAPIVersion=least) as server:
        with Engine(str(path)).client() as client:
            client.version()
        assert server.asked == [*questions, f"/v{agreed}/version"]


def test_an_engine_whose_ping_names_no_version_is_asked_in_full(tmp_path: Path) -> None:
    """The answer to a ping is only a shorter way."""
    path = tmp_path / "docker.sock"
    with engine(path, ApiVersion="1.41", MinAPIVersion="1.12") as server:
        server.names_version_in_ping = False
        with Engine(str(path)).client() as client:
            client.version()
        assert server.asked == ["/_ping", "/version", "/v1.41/version"]


def test_the_version_is_asked_once(tmp_path: Path) -> None:
    """Later clients of the same engine send no request for the version."""
    path = tmp_path / "docker.sock"
    with engine(path, ApiVersion="1.41", MinAPIVersion="1.12") as server:
        kept = Engine(str(path))
        for _ in range(3):
            with kept.client() as client:
                client.version()
        assert server.asked.count("/_ping") == 1


def test_a_replaced_engine_is_asked_again(tmp_path: Path) -> None:
    """After a failure the version is negotiated again, since the engine may have been upgraded."""
    path = tmp_path / "docker.sock"
    kept = Engine(str(path))
    with engine(path, ApiVersion="1.41", MinAPIVersion="1.12"), kept.client() as client:
        client.version()
    with pytest.raises(SandboxUnavailableError), kept.client():
        pass
    path.unlink()
    with engine(path, ApiVersion="1.52", MinAPIVersion="1.44") as upgraded:
        with kept.client() as client:
            client.version()
        assert upgraded.asked == ["/_ping", "/version", "/v1.45/version"]


def test_an_engine_that_hangs_is_given_up(tmp_path: Path) -> None:
    """A call to an engine that accepts and never responds ends with its timeout."""
    path = str(tmp_path / "docker.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with (
            pytest.raises(SandboxUnavailableError, match="in time"),
            Engine(path).client(timeout_s=0.2) as client,
        ):
            client.version()


def _ask(kept: Engine) -> None:
    with kept.client() as client:
        client.version()


def test_a_connection_is_kept_for_the_next_task(tmp_path: Path) -> None:
    """Tasks one after the other use one connection, also after an answer that is an error."""
    path = tmp_path / "docker.sock"
    with engine(path, ApiVersion="1.41", MinAPIVersion="1.12") as server:
        kept = Engine(str(path))
        _ask(kept)
        server.connections.clear()
        for _ in range(3):
            _ask(kept)
        with pytest.raises(ContainerGoneError), kept.client():
            raise ContainerGoneError("There is no such container.")
        _ask(kept)
        kept.close()
        assert len(server.connections) == 1


def test_tasks_at_the_same_time_have_a_connection_each(tmp_path: Path) -> None:
    """Nobody waits for another thread's task."""
    path = tmp_path / "docker.sock"
    with engine(path, ApiVersion="1.41", MinAPIVersion="1.12") as server:
        kept = Engine(str(path))
        _ask(kept)
        server.connections.clear()
        with kept.client() as one, kept.client() as other:
            one.version()
            other.version()
        kept.close()
        assert len(server.connections) == 2


def test_a_connection_that_failed_is_not_used_again(tmp_path: Path) -> None:
    """Nor are those that were kept with it."""
    path = tmp_path / "docker.sock"
    with engine(path, ApiVersion="1.41", MinAPIVersion="1.12") as server:
        kept = Engine(str(path))
        _ask(kept)
        with pytest.raises(SandboxUnavailableError), kept.client():
            raise SandboxUnavailableError("It did not answer.")
        server.connections.clear()
        _ask(kept)
        kept.close()
        # One for the version, one for the task.
        assert len(server.connections) == 2


def test_a_connection_of_before_a_fork_is_not_used_after_it(tmp_path: Path) -> None:
    """Two processes that write to one connection would read each other's answers."""
    path = tmp_path / "docker.sock"
    with engine(path, ApiVersion="1.41", MinAPIVersion="1.12") as server:
        kept = Engine(str(path))
        _ask(kept)
        server.connections.clear()
        _ask(kept)
        pid = os.fork()
        if not pid:
            try:
                _ask(kept)
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
        assert len(server.connections) == 2
        _ask(kept)
        kept.close()
        assert len(server.connections) == 2


def test_a_connection_that_the_engine_has_closed_is_replaced(tmp_path: Path) -> None:
    """As after a restart of the engine: the next task does not fail."""
    path = tmp_path / "docker.sock"
    kept = Engine(str(path))
    with engine(path, ApiVersion="1.41", MinAPIVersion="1.12") as server:
        _ask(kept)
        server.connections.clear()
        _ask(kept)
        [connection] = server.connections
        connection.connection.shutdown(socket.SHUT_RDWR)
        _ask(kept)
    kept.close()
