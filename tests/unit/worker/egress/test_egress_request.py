"""The heads of requests that a sandbox may send, byte by byte over a real socket."""

import asyncio
import socket

import h11
import pytest

from safeurl.address import AddressPolicy, PolicyOverrides, Rule
from safeurl.errors import UrlRefusedError
from tests.support.vectors import LITERALS
from worker.egress.gateway.traffic.request import (
    MAX_HEAD_BYTES,
    ProxyRequest,
    ProxyRequestError,
    read_request,
)

_LAB = AddressPolicy.parse(PolicyOverrides(allow_cidrs=("127.0.0.0/8",)))


async def _read(data: bytes, *, end: bool = True, timeout_s: float = 5.0) -> ProxyRequest | None:
    """Send the bytes and, if `end`, end-of-file; return the parsed request.

    Without `end` the bytes are few and are in the socket before the time limit begins.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(0)
        theirs.settimeout(0)
        sent = asyncio.create_task(asyncio.to_thread(_send, theirs, data, end=end))
        if not end:
            await sent
        try:
            return await read_request(ours, timeout_s)
        finally:
            ours.close()
            await sent


def _send(to: socket.socket, data: bytes, *, end: bool) -> None:
    to.settimeout(5)
    try:
        to.sendall(data)
        if end:
            to.shutdown(socket.SHUT_WR)
    except (BrokenPipeError, ConnectionResetError):
        pass


async def _some(data: bytes) -> ProxyRequest:
    asked = await _read(data)
    assert asked is not None
    return asked


async def _refused(data: bytes) -> tuple[int, str]:
    with pytest.raises(ProxyRequestError) as caught:
        await _read(data)
    return caught.value.status, caught.value.rule


async def test_a_connect_names_host_and_port() -> None:
    """Host and port come from the target; the Host header is ignored."""
    asked = await _some(b"CONNECT site.test:8443 HTTP/1.1\r\nHost: other.test:1\r\n\r\n")
    assert (asked.name, asked.port, asked.forwarded) == ("site.test", 8443, None)
    assert asked.target(_LAB).host == "site.test"


async def test_bytes_after_a_connect_are_kept() -> None:
    """Bytes after the head in the same packet belong to the tunnel."""
    asked = await _some(b"CONNECT site.test:443 HTTP/1.1\r\nHost: x\r\n\r\n\x16\x03\x01hello")
    assert asked.rest() == b"\x16\x03\x01hello"


async def test_a_plain_request_names_its_url() -> None:
    """The default port is 80; user names are not part of the host."""
    asked = await _some(b"GET http://u:p@site.test/a?b HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (asked.name, asked.port) == ("site.test", 80)
    target = asked.target(_LAB)
    assert (target.host, target.port, target.url) == ("site.test", 80, "http://site.test/a?b")


@pytest.mark.parametrize("literal", [text for text in LITERALS if text.isascii()])
async def test_every_spelling_of_an_inner_address_is_refused(literal: str) -> None:
    """None of the refused literals becomes a target, neither with CONNECT nor with an http URL."""
    for head in (f"CONNECT {literal}:80", f"GET http://{literal}:80/"):
        try:
            asked = await _read(f"{head} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        except ProxyRequestError:
            continue
        assert asked is not None
        with pytest.raises(UrlRefusedError) as caught:
            asked.target(AddressPolicy())
        # Brackets that a person adds to defang an address are not an address for a browser.
        assert caught.value.reason in {LITERALS[literal], "host_invalid", "single_label"}


async def test_a_refused_literal_is_named_in_evidence() -> None:
    """The address of each spelling is known; a name has none."""
    assert (await _some(b"CONNECT 2130706433:80 HTTP/1.1\r\nHost: x\r\n\r\n")).literal == (
        "127.0.0.1",
    )
    assert (await _some(b"CONNECT [::ffff:7f00:1]:80 HTTP/1.1\r\nHost: x\r\n\r\n")).literal
    assert (await _some(b"CONNECT site.test:80 HTTP/1.1\r\nHost: x\r\n\r\n")).literal == ()


@pytest.mark.parametrize(
    ("url", "name", "port", "literal"),
    [
        ("http:///127.0.0.2:35187/", "127.0.0.2", 35187, ("127.0.0.2",)),
        ("http://\\127.0.0.2:35187/", "127.0.0.2", 35187, ("127.0.0.2",)),
        ("http://evil.test:00008080/", "evil.test", 8080, ()),
        ("http://evil.test:/", "evil.test", 80, ()),
        ("http://u@[::1]:8080/", "[::1]", 8080, ("::1",)),
        ("http://3232235777:8080/", "3232235777", 8080, ("192.168.1.1",)),
        ("http://evil.test:99999/", "evil.test", 0, ()),
    ],
)
async def test_evidence_names_what_a_browser_reads(
    url: str, name: str, port: int, literal: tuple[str, ...]
) -> None:
    """No spelling of a URL shows another host than the one it leads to."""
    asked = await _some(f"GET {url} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert (asked.name, asked.port, asked.literal) == (name, port, literal)


async def test_ports_are_judged() -> None:
    """An invalid port, and a port of an internal service, are refused by their rule."""
    for port, rule in (
        ("0", Rule.PORT_INVALID),
        ("22", Rule.PORT_PRIVILEGED),
        ("6379", Rule.PORT_SERVICE),
        ("65536", Rule.PORT_INVALID),
    ):
        asked = await _some(f"CONNECT site.test:{port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with pytest.raises(UrlRefusedError) as caught:
            asked.target(_LAB)
        assert caught.value.reason == rule


@pytest.mark.parametrize(
    "target",
    [
        *("site.test", "site.test:", ":80", "site.test:80x", "site.test:+80", "site.test:123456"),
        *("a@b.test:80", "b.test/x:80", "b.test?:80", "b.test#:80", "b.test\\x:80", "[::1:80"),
        *("http://b.test:80", "a:b:80", "[::1]x:80", "/", "*"),
    ],
)
async def test_an_authority_that_could_be_read_in_two_ways_is_no_request(target: str) -> None:
    """CONNECT accepts host, colon and port only."""
    assert await _refused(f"CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()) == (
        400,
        "bad_request",
    )


@pytest.mark.parametrize(
    "line",
    ["GET / HTTP/1.1", "GET https://a.test/ HTTP/1.1", "OPTIONS * HTTP/1.1", "GET a.test HTTP/1.1"],
)
async def test_nothing_but_tunnels_and_plain_requests_is_served(line: str) -> None:
    """Requests that are not for a proxy get 405."""
    assert await _refused(f"{line}\r\nHost: x\r\n\r\n".encode()) == (405, "method")


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x05\x01\x00" * 20 + b"\r\n\r\n",
        b"CONNECT a.test:80\r\n\r\n",
        b"CONNECT a.test:80 HTTP/x\r\nHost: x\r\n\r\n",
        b"CONNECT a.test:80 HTTP/1.1\r\nHo\x00st: x\r\n\r\n",
        b"CONNECT a.test:80 HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET http://a.test/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "CONNECT \u0661.test:80 HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        b"CONNECT a.test:80 HTTP/1.1\r\nHost:",
        b"CONNECT a.test:80 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na",
        b"CONNECT a.test:80 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_garbage_is_no_request(data: bytes) -> None:
    """TLS, SOCKS, malformed heads, raw UTF-8 and incomplete heads get 400."""
    assert await _refused(data) == (400, "bad_request")


async def test_a_head_without_end_is_cut() -> None:
    """An endless header costs only the bytes of its cap."""
    endless = b"GET http://a.test/ HTTP/1.1\r\nX: " + b"a" * (MAX_HEAD_BYTES * 4)
    assert await _refused(endless) == (431, "bad_request")


async def test_silence_is_no_request_and_no_fault() -> None:
    """A client that sends nothing, and closes or stays, leaves no evidence."""
    assert await _read(b"") is None
    assert await _read(b"", end=False, timeout_s=0.05) is None


async def test_a_slow_head_is_a_fault() -> None:
    """An incomplete head ends at the time limit for heads."""
    with pytest.raises(ProxyRequestError) as caught:
        await _read(b"CONNECT a.te", end=False, timeout_s=0.05)
    assert (caught.value.status, caught.value.rule) == (408, "head_timeout")


_PLAIN = b"POST http://a.test/ HTTP/1.1\r\nHost: a.test\r\n"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", 400),
        (b"Transfer-Encoding: Chunked\r\nContent-Length: 0\r\n", 400),
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", 400),
        (b"Content-Length: 5, 6\r\n", 400),
        (b"Content-Length: +5\r\n", 400),
        (b"Content-Length: 0x5\r\n", 400),
        (b"Content-Length: 5 5\r\n", 400),
        (b"Content-Length: \r\n", 400),
        (b"Transfer-Encoding: gzip, chunked\r\n", 501),
        (b"Transfer-Encoding: chunked, identity\r\n", 501),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 501),
        (b"Transfer-Encoding: xchunked\r\n", 501),
        (b"Transfer-Encoding: \x0bchunked\r\n", 400),
        (b"Transfer-Encoding : chunked\r\n", 400),
        (b"Content-Length : 5\r\n", 400),
        (b" Content-Length: 5\r\nX: y\r\n", None),
        (b"Connection: Content-Length\r\nContent-Length: 5\r\n", 400),
        (b"Connection: close, transfer-ENCODING\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Connection: host\r\n", 400),
        (b"X: a\rContent-Length: 5\r\n", 400),
        (b"X: a\0b\r\n", 400),
        (b"X\0: a\r\n", 400),
        (b"X Y: a\r\n", 400),
        (b": a\r\n", 400),
        (b"X\r\n", 400),
        (b"Host: b.test\r\n", 400),
    ],
)
async def test_a_body_whose_end_two_readers_could_see_apart_is_refused(
    head: bytes, status: int | None
) -> None:
    """Lengths with codings, other codings, and malformed headers are refused."""
    data = _PLAIN + head + b"\r\n5\r\nhello\r\n0\r\n\r\n"
    if status is None:
        # A folded line is part of one header's value, with a space, and frames nothing.
        assert b"content-length" not in dict((await _plain(data)).headers)
    else:
        assert await _refused(data) == (status, "bad_request")


async def _plain(data: bytes) -> h11.Request:
    request = (await _some(data)).forwarded
    assert request is not None
    return request


async def test_the_same_length_twice_is_one_length() -> None:
    """RFC 9110, 8.6: it may be forwarded once."""
    request = await _plain(_PLAIN + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello")
    assert [value for name, value in request.headers if name == b"content-length"] == [b"5"]


@pytest.mark.parametrize("version", ["2.0", "3.0", "1.2", "1.9", "0.9", "0.0", "9.9"])
@pytest.mark.parametrize("line", ["CONNECT a.test:80", "GET http://a.test/"])
async def test_another_version_is_not_served(line: str, version: str) -> None:
    """No server needs it, and some may read it as another protocol."""
    assert await _refused(f"{line} HTTP/{version}\r\nHost: a.test\r\n\r\n".encode()) == (
        505,
        "version",
    )


async def test_the_version_before_is_served_without_a_coding() -> None:
    """HTTP/1.0 has lengths only."""
    head = b"POST http://a.test/ HTTP/1.0\r\n"
    assert (await _plain(head + b"Content-Length: 1\r\n\r\na")).method == b"POST"
    assert await _refused(head + b"Transfer-Encoding: chunked\r\n\r\n") == (400, "bad_request")
