"""Bytes through the gateway: complete, in both directions, until the end."""

import hashlib
import socket
import ssl
import threading
from pathlib import Path

import pytest

from tests.support.certificates import make_authority, make_certificate
from tests.support.egress import (
    TIMEOUT_S,
    GatewayProcess,
    accept,
    connect,
    connect_head,
    has_ended,
    lab_policy,
    parse_answer,
    read_all,
    read_head,
    refusal,
    tunnel,
    until,
    where_of,
)
from tests.support.pages import PageServer, html


def test_a_page_comes_through_whole(gateway: GatewayProcess) -> None:
    """A body far larger than any buffer arrives unchanged, and is counted."""
    body = hashlib.sha256(b"seed").digest() * 200_000
    with PageServer({"/": lambda _: html(body.hex())}) as pages:
        socket_id, directory = gateway.open()
        connection, answer = tunnel(directory, f"127.0.0.1:{pages.port}")
        with connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            data = read_all(connection)
    assert answer.status == 200
    assert data.endswith(b"\r\n\r\n" + body.hex().encode())
    until(lambda: gateway.evidence(socket_id).decisions[0].bytes_in == len(data))
    (decision,) = gateway.evidence(socket_id).decisions
    assert (decision.bytes_out, decision.rule, decision.outcome) == (27, "allowed_by_setting", "")
    assert decision.address == "127.0.0.1"
    assert decision.connect_ms is not None


def test_tls_is_carried_and_not_opened(gateway: GatewayProcess, tmp_path: Path) -> None:
    """The handshake is with the server itself: its certificate verifies through the tunnel."""
    root = make_authority()
    certificate = make_certificate("127.0.0.1", issuer=root).write(tmp_path / "site.pem")
    context = ssl.create_default_context(cadata=root.pem.decode())
    with PageServer({"/": lambda _: html("safe")}, certificate=certificate) as pages:
        connection, _ = tunnel(gateway.open()[1], f"127.0.0.1:{pages.port}")
        with connection, context.wrap_socket(connection, server_hostname="127.0.0.1") as secure:
            secure.sendall(b"GET / HTTP/1.1\r\nHost: site.test\r\n\r\n")
            assert parse_answer(read_all(secure)).rest == b"safe"


def test_bytes_sent_with_the_head_are_not_lost(
    gateway: GatewayProcess, server: socket.socket
) -> None:
    """A client may send before it has the response."""
    with connect(gateway.open()[1]) as connection:
        connection.sendall(connect_head(where_of(server)) + b"early ")
        connection.sendall(b"bird")
        with accept(server) as accepted:
            assert accepted.recv(10, socket.MSG_WAITALL) == b"early bird"
            accepted.sendall(b"worm")
        assert read_head(connection).status == 200
        assert read_all(connection) == b"worm"


def test_the_client_may_finish_first(gateway: GatewayProcess, server: socket.socket) -> None:
    """After the client has half-closed, the server can still send."""
    socket_id, directory = gateway.open()
    connection, _ = tunnel(directory, where_of(server))
    with connection, accept(server) as accepted:
        connection.sendall(b"question")
        connection.shutdown(socket.SHUT_WR)
        assert read_all(accepted) == b"question"
        accepted.sendall(b"answer")
        accepted.shutdown(socket.SHUT_WR)
        assert read_all(connection) == b"answer"
    (decision,) = gateway.close(socket_id).decisions
    assert (decision.bytes_out, decision.bytes_in, decision.outcome) == (8, 6, "")


def test_the_server_may_finish_first(gateway: GatewayProcess, server: socket.socket) -> None:
    """After the server has half-closed, the client may still send."""
    socket_id, directory = gateway.open()
    connection, _ = tunnel(directory, where_of(server))
    with connection, accept(server) as accepted:
        accepted.sendall(b"greeting")
        accepted.shutdown(socket.SHUT_WR)
        assert read_all(connection) == b"greeting"
        connection.sendall(b"thanks")
        connection.shutdown(socket.SHUT_WR)
        assert read_all(accepted) == b"thanks"
    (decision,) = gateway.close(socket_id).decisions
    assert (decision.bytes_out, decision.bytes_in, decision.outcome) == (6, 8, "")


def test_a_reader_that_stops_stops_the_sender(
    gateway: GatewayProcess, server: socket.socket
) -> None:
    """While the receiver does not read, the sender is not read; later all bytes arrive."""
    connection, _ = tunnel(gateway.open()[1], where_of(server))
    data = bytes(range(256)) * 40_000
    with connection, accept(server) as accepted:
        accepted.settimeout(0.5)
        sent = _push(accepted, data)
        assert sent < len(data)
        rest = threading.Thread(target=_finish, args=(accepted, data[sent:]))
        rest.start()
        assert read_all(connection) == data
        rest.join(TIMEOUT_S)


def _push(to: socket.socket, data: bytes) -> int:
    """Send until nothing more is accepted; return the number of bytes."""
    sent = 0
    while sent < len(data):
        try:
            sent += to.send(data[sent : sent + 65_536])
        except TimeoutError:
            break
    return sent


def _finish(to: socket.socket, data: bytes) -> None:
    to.settimeout(TIMEOUT_S)
    to.sendall(data)
    to.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("mute", [True, False])
def test_a_client_that_vanishes_frees_its_place(
    gateway: GatewayProcess, server: socket.socket, *, mute: bool
) -> None:
    """The server sees the end, and another connection may be opened."""
    directory = gateway.open(lab_policy(max_concurrent=1))[1]
    connection, _ = tunnel(directory, where_of(server))
    with accept(server) as accepted:
        if not mute:
            # More than all buffers hold, so that the gateway has unsent bytes too.
            accepted.settimeout(0.5)
            assert _push(accepted, bytes(50_000_000)) < 50_000_000
            accepted.settimeout(TIMEOUT_S)
        connection.close()
        assert has_ended(accepted)
    until(lambda: refusal(directory, where_of(server)) != "cap_concurrent")


def test_a_server_that_breaks_off_is_noted(gateway: GatewayProcess, server: socket.socket) -> None:
    """A reset by the server is an outcome of the connection."""
    socket_id, directory = gateway.open()
    connection, _ = tunnel(directory, where_of(server))
    with connection:
        accepted = accept(server)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        accepted.close()
        assert read_all(connection) == b""
    assert gateway.evidence(socket_id).decisions[0].outcome == "reset"


def test_nobody_listening_is_an_outcome(gateway: GatewayProcess) -> None:
    """The fetcher learns of a refused connection by a separate outcome."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        where = where_of(gone)
    socket_id, directory = gateway.open()
    assert refusal(directory, where) == "connect_refused"
    (decision,) = gateway.evidence(socket_id).decisions
    assert (decision.allowed, decision.outcome, decision.address) == (True, "connect_refused", "")
