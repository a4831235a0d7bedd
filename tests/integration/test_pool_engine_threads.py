"""The pool's calls to engines that are replaced, as servers on a unix socket."""

from pathlib import Path

import pytest

from safeurl.errors import SandboxUnavailableError
from tests.support.fake_engine import engine
from worker.sandbox.engine import ContainerGoneError, Engine, EngineClient
from worker.sandbox.pool.engine_threads import EngineThreads


def _refuse(client: EngineClient) -> str:
    """Fail as a call does whose API version the engine no longer supports."""
    client.version()
    raise SandboxUnavailableError("client version 1.41 is too old")


async def test_an_upgraded_engine_is_asked_for_its_version(tmp_path: Path) -> None:
    """Its socket listens all the time, as with systemd's docker.socket: only a call fails."""
    path = tmp_path / "docker.sock"
    threads = EngineThreads(Engine(str(path)), 1, "test")
    try:
        with engine(path, ApiVersion="1.41", MinAPIVersion="1.12") as server:
            await threads.run(EngineClient.version)
            server.versions = {"ApiVersion": "1.45", "MinAPIVersion": "1.44"}
            with pytest.raises(SandboxUnavailableError):
                await threads.run(_refuse)
            await threads.run(EngineClient.version)
            assert server.asked[-2:] == ["/_ping", "/v1.45/version"]
    finally:
        threads.close()


async def test_a_thread_keeps_its_connection(tmp_path: Path) -> None:
    """Also after an answer that names no container; the end closes it."""

    def gone(client: EngineClient) -> None:
        client.version()
        raise ContainerGoneError("There is none.")

    path = tmp_path / "docker.sock"
    threads = EngineThreads(Engine(str(path)), 1, "test")
    with engine(path, ApiVersion="1.41", MinAPIVersion="1.12") as server:
        await threads.run(EngineClient.version)
        with pytest.raises(ContainerGoneError):
            await threads.run(gone)
        await threads.run(EngineClient.version)
        asked = [each for each in server.asked if each.endswith("/version")]
        assert (len(asked), server.asked.count("/_ping")) == (3, 1)
        threads.close()
