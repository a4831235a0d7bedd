"""A complete response: the same evidence in any split of packets, over HTTP/1.1 and HTTP/2."""

import socket
from collections.abc import Iterator
from typing import cast

from fetcher.content.body import load_body
from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError
from fetcher.http.exchange import Exchange, Http11RequiredError
from fetcher.http.http2 import Http2Exchange
from tests.fuzz.targets.packets import CUTS, Packets, splits

_CAP = 16 * 1024
_TIMEOUT_S = 60.0
_HEADERS = (("Host", "example.com"),)
#: Of a frame in an input: its size, type, flags and stream, a byte each.
_SHORT_HEAD = 4


def fuzz_answer(data: bytes) -> None:
    """Check that head, body and result do not depend on the packets."""
    flags, wire = data[CUTS : CUTS + 1], data[CUTS + 1 :]
    is_secure = bool(flags and flags[0] & 1)
    is_default_port = bool(flags and flags[0] & 2)

    def exchange(packets: Packets) -> Exchange:
        return Exchange(
            cast("socket.socket", packets),
            Deadline.after(_TIMEOUT_S),
            is_secure=is_secure,
            is_default_port=is_default_port,
        )

    whole, *others = (_read(exchange(Packets(each))) for each in splits(data[:CUTS], wire))
    assert all(other == whole for other in others), (whole, others)


def fuzz_http2(data: bytes) -> None:
    """Check the same for frames, complete ones and the bytes after the last of them."""
    wire = b"".join(_frames(data[CUTS:]))

    def exchange(packets: Packets) -> Exchange:
        return Http2Exchange(cast("socket.socket", packets), Deadline.after(_TIMEOUT_S))

    whole, *others = (_read(exchange(Packets(each))) for each in splits(data[:CUTS], wire))
    assert all(other == whole for other in others), (whole, others)


def _frames(data: bytes) -> Iterator[bytes]:
    """Yield the frames that an input writes in short; the last one may be cut."""
    at = 0
    while len(head := data[at : at + _SHORT_HEAD]) == _SHORT_HEAD:
        size, kind, flags, stream = head
        at += _SHORT_HEAD
        payload = data[at : at + size]
        at += size
        yield size.to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _read(exchange: Exchange) -> tuple[object, ...]:
    try:
        head = exchange.send_get("/", _HEADERS)
        loaded = load_body(exchange, head, _CAP, Deadline.after(_TIMEOUT_S))
    except FetchFailedError as failure:
        assert failure.result.detail
        return (failure.result,)
    except Http11RequiredError:
        return ("HTTP/1.1",)
    assert len(loaded.data) == loaded.evidence.size_bytes <= _CAP
    assert loaded.evidence.wire_bytes <= _CAP
    return head, loaded
