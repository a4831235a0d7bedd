"""How much one sandbox may transfer per second, over any number of connections."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.egress import (
    GatewayProcess,
    accept,
    connect,
    lab_policy,
    refusal,
    tunnel,
    where_of,
)

_RATE = 1024 * 1024
#: The bytes of a quarter of a second pass at once.
_BURST = _RATE // 4
#: The bytes in the kernel's buffers, and those read after the last look at the clock.
_SLACK = 1024 * 1024
#: So many bytes that a part of them has to wait.
_AMOUNT = 3 * _RATE
_BLOCK = bytes(64 * 1024)


@pytest.fixture
def slow(gateway: GatewayProcess) -> Path:
    """Open a socket with a low rate limit; return its folder."""
    return gateway.open(lab_policy(bytes_per_second=_RATE))[1]


@pytest.fixture
def server() -> socket.socket:
    """Listen as the server that a sandbox visits."""
    return socket.create_server(("127.0.0.1", 0))


def _send_all(connection: socket.socket, count: int) -> None:
    while count > 0:
        connection.sendall(_BLOCK[:count])
        count -= len(_BLOCK)


def _count(connection: socket.socket, count: int) -> int:
    """Read until that many bytes have arrived; return them."""
    read = 0
    while read < count and (data := connection.recv(len(_BLOCK))):
        read += len(data)
    return read


def _transfer(send: Callable[[], None], read: Callable[[], int]) -> tuple[int, float]:
    """Send in a thread and read here; return the bytes and the seconds."""
    started_s = time.monotonic()
    thread = threading.Thread(target=send)
    thread.start()
    count = read()
    elapsed_s = time.monotonic() - started_s
    thread.join()
    return count, elapsed_s


def _assert_within_budget(count: int, elapsed_s: float) -> None:
    """All bytes arrived, no faster than the limit; a slow machine only takes longer."""
    assert count == _AMOUNT
    assert count <= _BURST + _RATE * elapsed_s + _SLACK


def test_what_a_server_sends_comes_at_the_pace(slow: Path, server: socket.socket) -> None:
    """A fast server is read at the rate of the limit."""
    connection, _ = tunnel(slow, where_of(server))
    with server, connection, accept(server) as peer:
        moved = _transfer(lambda: _send_all(peer, _AMOUNT), lambda: _count(connection, _AMOUNT))
    _assert_within_budget(*moved)


def test_what_a_sandbox_sends_leaves_at_the_pace(slow: Path, server: socket.socket) -> None:
    """A fast sandbox is read at the rate of the limit."""
    connection, _ = tunnel(slow, where_of(server))
    with server, connection, accept(server) as peer:
        moved = _transfer(lambda: _send_all(connection, _AMOUNT), lambda: _count(peer, _AMOUNT))
    _assert_within_budget(*moved)


def test_many_connections_share_one_budget(slow: Path, server: socket.socket) -> None:
    """Four tunnels together transfer as much as one."""
    pairs = [(tunnel(slow, where_of(server))[0], accept(server)) for _ in range(4)]
    share = _AMOUNT // len(pairs)

    def send() -> None:
        threads = [threading.Thread(target=_send_all, args=(peer, share)) for _, peer in pairs]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    moved = _transfer(send, lambda: sum(_count(connection, share) for connection, _ in pairs))
    for connection, peer in pairs:
        connection.close()
        peer.close()
    server.close()
    _assert_within_budget(*moved)


def test_the_body_of_a_plain_request_leaves_at_the_pace(slow: Path, server: socket.socket) -> None:
    """The bytes from the sandbox count, including long chunk extensions that are not forwarded."""
    chunk = b"1;x=" + b"y" * 4_000 + b"\r\na\r\n"
    body = chunk * (_AMOUNT // len(chunk))
    head = f"POST http://{where_of(server)}/ HTTP/1.1\r\nHost: x\r\n"

    with server, connect(slow) as connection:
        # Read to the end of the body.
        def read() -> int:
            with accept(server) as peer:
                data = b""
                while not data.endswith(b"0\r\n\r\n"):
                    data += peer.recv(len(_BLOCK))
            return len(body)

        def send() -> None:
            connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            connection.sendall(body + b"0\r\n\r\n")

        count, elapsed_s = _transfer(send, read)
    assert count <= _BURST + _RATE * elapsed_s + _SLACK


def test_who_waits_is_still_answered_and_cut(
    gateway: GatewayProcess, server: socket.socket
) -> None:
    """A sandbox without tokens can still open tunnels, and its close is noticed at once."""
    socket_id, directory = gateway.open(lab_policy(bytes_per_second=1024))
    connection, _ = tunnel(directory, where_of(server))
    with server, connection, accept(server) as peer:
        peer.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while peer.send(_BLOCK):
                pass
        assert not refusal(directory, where_of(server))
        evidence = gateway.close(socket_id)
        assert evidence.decisions[0].outcome == "closed"
        assert evidence.bytes_in < len(_BLOCK)
