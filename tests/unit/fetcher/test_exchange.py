"""How long an exchange waits for its server."""

import socket

from fetcher.deadline import Deadline
from fetcher.exchange import Exchange

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
