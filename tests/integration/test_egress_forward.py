"""Requests with an absolute http URL, as a browser sends them to its proxy."""

import socket

import pytest

from tests.support.egress import (
    GatewayProcess,
    accept,
    ask,
    connect,
    lab_policy,
    parse_answer,
    read_all,
)
from tests.support.pages import PageServer, Reply, Request, html


def _url(server: socket.socket, path: str = "/") -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}{path}"


def _read_until(connection: socket.socket, mark: bytes) -> bytes:
    data = b""
    while not data.endswith(mark):
        piece = connection.recv(65536)
        assert piece, data
        data += piece
    return data


def test_a_request_is_forwarded_as_the_server_expects_it(gateway: GatewayProcess) -> None:
    """The server gets origin form, its own Host, and no header that was meant for the proxy."""
    seen: list[Request] = []

    def page(request: Request) -> Reply:
        seen.append(request)
        return html("<p>hi", headers=(("X-Mark", "1"),))

    with PageServer(fallback=page) as pages:
        socket_id, directory = gateway.open()
        head = (
            f"GET {pages.url('//a?b=c')} HTTP/1.1\r\nHost: other.test\r\nAccept: x/y\r\n"
            "Proxy-Connection: keep-alive\r\nConnection: X-Secret\r\nX-Secret: 1\r\n\r\n"
        )
        answer = ask(directory, head.encode())
        (decision,) = gateway.evidence(socket_id).decisions
    assert (answer.status, answer.rest, answer.headers["x-mark"]) == (200, b"<p>hi", "1")
    assert seen[0].target == "//a?b=c"
    assert seen[0].headers == {
        "host": f"127.0.0.1:{pages.port}",
        "accept": "x/y",
        "connection": "close",
    }
    assert (decision.name, decision.port) == ("127.0.0.1", pages.port)
    assert (decision.allowed, decision.outcome) == (True, "")
    assert decision.bytes_in > len(answer.rest)
    assert decision.bytes_out > 0


def test_the_record_names_what_was_dialled(gateway: GatewayProcess) -> None:
    """No spelling hides the destination: neither extra slashes nor zeros before a port."""
    with PageServer({"/": lambda _: html("hi")}) as pages:
        socket_id, directory = gateway.open()
        for host in (f"/127.0.0.1:{pages.port}", f"127.1:000{pages.port}"):
            head = f"GET http://{host}/ HTTP/1.1\r\nHost: x\r\n\r\n"
            assert ask(directory, head.encode()).rest == b"hi"
        named = [(each.name, each.port) for each in gateway.evidence(socket_id).decisions]
    assert named == [("127.0.0.1", pages.port)] * 2


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_is_forwarded(
    gateway: GatewayProcess, server: socket.socket, *, chunked: bool
) -> None:
    """With a length or in chunks, sent with the head or after it."""
    framing = "Transfer-Encoding: chunked" if chunked else "Content-Length: 10"
    with connect(gateway.open()[1]) as client:
        head = f"POST {_url(server)} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n"
        client.sendall(head.encode() + (b"5\r\nhello\r\n" if chunked else b"hello"))
        with accept(server) as accepted:
            _read_until(accepted, b"hello\r\n" if chunked else b"hello")
            client.sendall(b"5\r\nworld\r\n0\r\n\r\n" if chunked else b"world")
            _read_until(accepted, b"0\r\n\r\n" if chunked else b"world")
            accepted.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        assert parse_answer(read_all(client)).status == 204


def test_a_second_request_never_reaches_the_first_ones_server(
    gateway: GatewayProcess, server: socket.socket
) -> None:
    """A server that keeps the connection open does not get a request for another host."""
    socket_id, directory = gateway.open()
    with connect(directory) as client:
        client.sendall(f"GET {_url(server)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with accept(server) as accepted:
            _read_until(accepted, b"\r\n\r\n")
            accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
            assert _read_until(client, b"hi")
            client.sendall(b"GET http://other.test/secret HTTP/1.1\r\nHost: other.test\r\n\r\n")
            assert accepted.recv(1) == b""
    assert gateway.evidence(socket_id).requests == 1


def test_a_request_that_breaks_off_is_cut(gateway: GatewayProcess, server: socket.socket) -> None:
    """A body that does not match its framing is a fault of the sandbox."""
    socket_id, directory = gateway.open()
    with connect(directory) as client:
        client.sendall(
            f"POST {_url(server)} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc".encode()
        )
        client.shutdown(socket.SHUT_WR)
        with accept(server) as accepted:
            assert _read_until(accepted, b"abc")
            assert accepted.recv(1) == b""
        assert read_all(client) == b""
    assert gateway.evidence(socket_id).decisions[0].outcome == "bad_request"


def test_a_client_that_leaves_ends_the_answer(
    gateway: GatewayProcess, server: socket.socket
) -> None:
    """The gateway ends the transfer when the client has closed."""
    with connect(gateway.open()[1]) as client:
        client.sendall(f"GET {_url(server)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        accepted = accept(server)
    with accepted:
        _read_until(accepted, b"\r\n\r\n")
        assert accepted.recv(1) == b""


@pytest.mark.parametrize(
    "answer",
    [
        b"\r\n\r\nHTTP/1.1  302Found\nodd line\nLocation : /a\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\nTransfer-Encoding: foo, chunked\r\n\r\n0\n\n",
        b"HTTP/1.1 200 OK\r\nA: \0\r\n",
        b"no HTTP at all",
    ],
)
def test_an_answer_is_carried_as_it_is(gateway: GatewayProcess, answer: bytes) -> None:
    """The gateway does not check the response: a browser accepts more than the standard."""
    routes = {"/": lambda _: Reply(answer, raw=True)}
    with PageServer(dict(routes)) as pages, connect(gateway.open()[1]) as client:
        client.sendall(f"GET {pages.url()} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert read_all(client) == answer


def test_an_upload_is_capped(gateway: GatewayProcess, server: socket.socket) -> None:
    """Bytes of a body count like bytes in a tunnel."""
    socket_id, directory = gateway.open(lab_policy(max_bytes_out=2_000))
    with connect(directory) as client:
        head = f"POST {_url(server)} HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n"
        client.sendall(head.encode() + b"a" * 5_000)
        with accept(server) as accepted:
            assert len(read_all(accepted)) <= 2_000
    assert gateway.evidence(socket_id).decisions[0].outcome == "cap_bytes"


@pytest.mark.parametrize(
    ("line", "framing", "status"),
    [
        ("HTTP/1.1", "Content-Length: 3\r\nTransfer-Encoding: chunked", 400),
        ("HTTP/1.1", "Connection: Content-Length\r\nContent-Length: 3", 400),
        ("HTTP/2.0", "X: y", 505),
    ],
)
def test_what_could_be_read_in_two_ways_reaches_no_server(
    gateway: GatewayProcess, server: socket.socket, line: str, framing: str, status: int
) -> None:
    """An unread response needs neither its head nor a connection."""
    socket_id, directory = gateway.open()
    head = f"POST {_url(server)} {line}\r\nHost: x\r\n{framing}\r\n\r\n"
    assert ask(directory, head.encode() + b"0\r\n\r\n").status == status
    (decision,) = gateway.evidence(socket_id).decisions
    assert (decision.allowed, decision.address) == (False, "")
    server.settimeout(0)
    with pytest.raises(BlockingIOError):
        server.accept()
