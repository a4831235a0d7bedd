"""How long an exchange waits for its server, and what it takes for an answer."""

import socket

import pytest

from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError
from fetcher.http.exchange import Exchange
from fetcher.http.head import Head

_DEADLINE_S = 100.0


def test_a_server_may_be_silent_until_the_deadline() -> None:
    """Nothing ends the wait earlier, for else the report would name a deadline not yet over."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        exchange = Exchange(ours, Deadline.after(_DEADLINE_S))
        head = exchange.ask("/", (("Host", "site.test"),))
        patience_s = ours.gettimeout()
        assert (head.status, b"".join(exchange.pieces())) == (200, b"hello")
    assert patience_s is not None
    assert _DEADLINE_S / 2 < patience_s <= _DEADLINE_S


def _ask(wire: bytes, *, is_secure: bool = False, is_default_port: bool = False) -> Head:
    """Return the head that the bytes are taken for; its body is what comes after it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(wire)
        theirs.shutdown(socket.SHUT_WR)
        deadline = Deadline.after(_DEADLINE_S)
        exchange = Exchange(ours, deadline, is_secure=is_secure, is_default_port=is_default_port)
        head = exchange.ask("/", (("Host", "site.test"),))
        assert b"".join(exchange.pieces()) == wire[len(wire) - len(_BODY) :]
        return head


_BODY = b"<title>nine</title>"


def test_bytes_alone_are_http_0_9_where_browsers_take_them_so() -> None:
    """On the scheme's own port; elsewhere they are no HTTP."""
    head = _ask(_BODY, is_default_port=True)
    assert (head.status, head.http_version, head.headers) == (200, "HTTP/0.9", ())
    assert head.anomalies == ("http_0_9",)
    with pytest.raises(FetchFailedError):
        _ask(_BODY)


def test_a_broken_head_is_no_http_0_9() -> None:
    """Neither one with a NUL, nor bytes after a 1xx, nor none at all."""
    for wire in (
        b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n" + _BODY,
        b"HTTP/1.1 100 Continue\r\n\r\n" + _BODY,
        b"",
    ):
        with pytest.raises(FetchFailedError):
            _ask(wire, is_default_port=True)


def test_a_head_that_is_cut_short_counts_where_nobody_encrypts() -> None:
    """Over TLS its end may have been taken off; browsers show an error."""
    wire = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0"
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(wire)
        theirs.shutdown(socket.SHUT_WR)
        head = Exchange(ours, Deadline.after(_DEADLINE_S)).ask("/", (("Host", "site.test"),))
    assert (head.status, head.anomalies) == (404, ("head_cut",))
    with pytest.raises(FetchFailedError):
        _ask(wire, is_secure=True)


@pytest.mark.parametrize(
    ("target", "value"),
    [("/", "a\r\nB: c"), ("/", b"a\0"), ("/a b", "x"), ("/a\nb", "x"), ("/\u00e9", "x"), ("", "x")],
)
def test_nothing_adds_a_line_to_a_request(target: str, value: str | bytes) -> None:
    """What a page or a cookie says goes out as one line, or not at all."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        exchange = Exchange(ours, Deadline.after(_DEADLINE_S))
        with pytest.raises(FetchFailedError):
            exchange.ask(target, (("Host", "site.test"), ("Cookie", value)))
        theirs.settimeout(0)
        with pytest.raises(BlockingIOError):
            theirs.recv(1)
