"""A client that closes its connection in the moment in which the server ends it."""

import asyncio
import socket
import time
from typing import Any

import pytest
from uvicorn.server import ServerState

from api.clients import Clients, Limits
from api.connection import Connection
from api.server import Server

_HEAD_S = 0.1


async def _application(_scope: Any, _receive: Any, _send: Any) -> None:
    """Send no response, because no request is complete."""


@pytest.mark.parametrize("head", [b"GET / HTTP/1.1\r\nHost:", b"POST / HTTP/1.1\r\n"])
async def test_a_client_that_goes_when_its_time_is_over_is_no_fault(head: bytes) -> None:
    """The answer, sent before the loop has read of the close, makes its system reset all."""
    loop = asyncio.get_running_loop()
    faults: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: faults.append(context))
    limits = Limits(head_s=_HEAD_S)
    clients: Clients[Connection] = Clients(limits)
    config = Server(_application, limits).config
    config.load()
    made: list[Connection] = []

    def protocol() -> Connection:
        made.append(Connection(config, ServerState(), {}, clients=clients))
        return made[0]

    server = await loop.create_server(protocol, "127.0.0.1", 0)
    async with server:
        client = socket.create_connection(server.sockets[0].getsockname())
        client.sendall(head)
        while not (made and made[0].conn.trailing_data[0]):  # noqa: ASYNC110  uvicorn tells nobody
            await asyncio.sleep(0)
        # Both timers are due when the loop gets its next turn, this one first.
        loop.call_at(loop.time(), client.close)
        time.sleep(2 * _HEAD_S)  # noqa: ASYNC251  the loop is to be late
        while len(clients):  # noqa: ASYNC110  uvicorn tells nobody
            await asyncio.sleep(0)
    assert faults == []
