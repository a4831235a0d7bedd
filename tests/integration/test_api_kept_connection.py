"""Responses on a kept connection do not wait for acknowledgements."""

import asyncio
import contextlib
import socket
import threading

from api.app import create_app
from api.clients import Limits
from api.guard import LOOPBACK_HOSTS
from api.server import Server
from safeurl.adapters.memory.queue import MemoryQueue
from safeurl.adapters.memory.store import MemoryStore
from safeurl.service import Service
from tests.support.live_api import NOW, client_of


def test_a_body_is_sent_at_once_behind_its_head() -> None:
    """Nagle's algorithm would delay it by the 40 ms after which clients send acknowledgements."""
    service = Service(MemoryStore(), MemoryQueue(), lambda: NOW)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        server = Server(create_app(service, LOOPBACK_HOSTS), Limits())
        thread = threading.Thread(target=_run, args=(server, listener))
        thread.start()
        try:
            with client_of(f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
                assert client.get("/health").is_success
                (connection,) = server.server_state.connections
                accepted = connection.transport.get_extra_info("socket")
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        finally:
            server.should_exit = True
            thread.join()


def _run(server: Server, listener: socket.socket) -> None:
    asyncio.run(server.serve(sockets=[listener]))
