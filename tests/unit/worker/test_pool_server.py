"""The pool's server while it cannot accept connections."""

import asyncio
import socket
from typing import cast

import pytest

from worker.sandbox.pool.engine_threads import EngineThreads
from worker.sandbox.pool.pool import Pool
from worker.sandbox.pool.server import PoolServer


async def test_a_socket_that_cannot_be_accepted_from_does_not_fill_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As when all descriptors are in use: the server tries again, and says so now and then."""
    monkeypatch.setattr("worker.sandbox.pool.server._ACCEPT_PAUSE_S", 0)
    accepts = 0

    class NotListening(socket.socket):
        def accept(self) -> tuple[socket.socket, object]:
            nonlocal accepts
            accepts += 1
            return super().accept()

    # No connection comes, so neither a pool nor its threads are asked for anything.
    server = PoolServer(cast("Pool", None), cast("EngineThreads", None))
    with NotListening(socket.AF_UNIX) as listener:
        listener.setblocking(False)  # noqa: FBT003 - the socket module's own signature
        serving = asyncio.create_task(server.serve(listener))
        while accepts < 10:  # noqa: ASYNC110 - the server has no event for it
            await asyncio.sleep(0)
        serving.cancel()
        await asyncio.wait({serving})
    assert len([each for each in caplog.messages if "pool.not_accepted" in each]) == 1
