"""A server's answer: head, framing and content encodings, over a real socket."""

import socket

from fetcher.content.body import load_body
from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError
from fetcher.http.exchange import Exchange

_CAP = 4096
_TIMEOUT_S = 5.0


def fuzz_answer(data: bytes) -> None:
    """Check that a response is read or called broken, within its cap and without a wait."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data[: 64 * 1024])
        theirs.shutdown(socket.SHUT_WR)
        deadline = Deadline.after(_TIMEOUT_S)
        exchange = Exchange(ours, deadline)
        try:
            head = exchange.send_get("/", (("Host", "example.com"),))
            loaded = load_body(exchange, head, _CAP, deadline)
        except FetchFailedError as failure:
            assert failure.result.detail
            return
        assert not deadline.is_over()
        assert 0 <= head.status < 2**31
        assert not 100 <= head.status < 200
        assert len(loaded.data) == loaded.evidence.size_bytes <= _CAP
        assert loaded.evidence.wire_bytes <= _CAP
