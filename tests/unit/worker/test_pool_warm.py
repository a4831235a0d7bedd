"""A worker's claim of a member, with a scripted pool."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from worker.egress.unix_socket import listen_in
from worker.sandbox.engine import Engine
from worker.sandbox.options import SandboxSettings
from worker.sandbox.pool import protocol
from worker.sandbox.pool.warm import WarmStarter

_TIMEOUT_S = 30.0
_CLAIMED = protocol.Claimed(container_id="5f", started_at=None, egress="r1", egress_dir="/r1")


class _ScriptedPool:
    """Answers one claim when it may, and reads what follows."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.claimed = threading.Event()
        self.may_answer = threading.Event()
        self.later = b""
        self.member, self._handed = socket.socketpair()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.may_answer.set()
        self._thread.join()
        self.member.close()
        self._handed.close()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(_TIMEOUT_S)
            connection.recv(4096)
            self.claimed.set()
            assert self.may_answer.wait(_TIMEOUT_S)
            socket.send_fds(connection, [protocol.encode(_CLAIMED)], [self._handed.fileno()])
            self._handed.close()
            self.later = connection.recv(4096)

    def wait(self) -> None:
        """Wait until the claimer has closed its connection."""
        self._thread.join(_TIMEOUT_S)


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[_ScriptedPool]:
    """Start a pool in the folder."""
    with listen_in(tmp_path, protocol.SOCKET_NAME, 0o600, 1) as listener:
        listener.settimeout(_TIMEOUT_S)
        with _ScriptedPool(listener) as running:
            yield running


async def test_a_cancelled_claim_gives_the_member_up(tmp_path: Path, pool: _ScriptedPool) -> None:
    """It is not released, as after an attempt: its gateway socket must be removed as well."""
    starter = WarmStarter(tmp_path, SandboxSettings(image="image", instance="warm"))
    claiming = asyncio.create_task(starter.claim("s", 1, Engine("/nonexistent/docker.sock")))
    assert await asyncio.to_thread(pool.claimed.wait, _TIMEOUT_S)
    claiming.cancel()
    pool.may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await claiming
    await asyncio.to_thread(pool.wait)
    assert pool.later == b""
    # Nobody holds the stream of the container any more.
    assert pool.member.recv(1) == b""
