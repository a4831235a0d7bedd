"""An exchange waits until the deadline, and reads the same responses as browsers."""

import socket

import pytest

from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError
from fetcher.http.exchange import Exchange
from fetcher.http.head import Head

_DEADLINE_S = 100.0


def test_a_server_may_be_silent_until_the_deadline() -> None:
    """The socket's timeout is the deadline's; otherwise the report would name a wrong reason."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        exchange = Exchange(ours, Deadline.after(_DEADLINE_S))
        head = exchange.send_get("/", (("Host", "site.test"),))
        timeout_s = ours.gettimeout()
        assert (head.status, b"".join(exchange.pieces())) == (200, b"hello")
    assert timeout_s is not None
    assert _DEADLINE_S / 2 < timeout_s <= _DEADLINE_S


def _send_get(wire: bytes, *, is_secure: bool = False, is_default_port: bool = False) -> Head:
    """Return the head of the response; check that the body is the end of the bytes."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(wire)
        theirs.shutdown(socket.SHUT_WR)
        deadline = Deadline.after(_DEADLINE_S)
        exchange = Exchange(ours, deadline, is_secure=is_secure, is_default_port=is_default_port)
        head = exchange.send_get("/", (("Host", "site.test"),))
        assert b"".join(exchange.pieces()) == wire[len(wire) - len(_BODY) :]
        return head


_BODY = b"<title>nine</title>"


def test_bytes_without_a_head_are_http_0_9_on_the_default_port() -> None:
    """They are accepted on the scheme's default port only."""
    head = _send_get(_BODY, is_default_port=True)
    assert (head.status, head.http_version, head.headers) == (200, "HTTP/0.9", ())
    assert head.anomalies == ("http_0_9",)
    with pytest.raises(FetchFailedError):
        _send_get(_BODY)


def test_an_invalid_head_is_not_http_0_9() -> None:
    """A head with a NUL, bytes after a 1xx response and an empty response are errors."""
    for wire in (
        b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n" + _BODY,
        b"HTTP/1.1 100 Continue\r\n\r\n" + _BODY,
        b"",
    ):
        with pytest.raises(FetchFailedError):
            _send_get(wire, is_default_port=True)


def test_a_truncated_head_is_accepted_without_tls_only() -> None:
    """Over TLS a truncated head may be an attack, so it is an error as in browsers."""
    wire = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0"
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(wire)
        theirs.shutdown(socket.SHUT_WR)
        head = Exchange(ours, Deadline.after(_DEADLINE_S)).send_get("/", (("Host", "site.test"),))
    assert (head.status, head.anomalies) == (404, ("head_cut",))
    with pytest.raises(FetchFailedError):
        _send_get(wire, is_secure=True)


@pytest.mark.parametrize(
    ("target", "value"),
    [("/", "a\r\nB: c"), ("/", b"a\0"), ("/a b", "x"), ("/a\nb", "x"), ("/\u00e9", "x"), ("", "x")],
)
def test_no_value_adds_a_line_to_a_request(target: str, value: str | bytes) -> None:
    """A value with a line break, or an invalid target, is not sent at all."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        exchange = Exchange(ours, Deadline.after(_DEADLINE_S))
        with pytest.raises(FetchFailedError):
            exchange.send_get(target, (("Host", "site.test"), ("Cookie", value)))
        theirs.settimeout(0)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
