"""Reads the head of the one HTTP/1.1 request that a sandbox sends on a connection."""

import asyncio
import re
import socket
from dataclasses import dataclass
from typing import Final

import h11
from ada_url import URL, HostType

from safeurl.address import AddressPolicy
from safeurl.url import ParsedUrl, resolve

#: The longest head, and the longest time for it; browsers send up to 16 KiB with long cookies.
MAX_HEAD_BYTES: Final = 32 * 1024
HEAD_TIMEOUT_S: Final = 10.0

_READ_BYTES: Final = 16 * 1024
#: Any other character could change where the authority begins or ends.
_AUTHORITY: Final = re.compile(
    r"(?P<host>\[[^\[\]@/?#\\\s]*\]|[^\[\]@/?#\\\s:]+):(?P<port>\d{1,5})"
)
_HTTP_URL: Final = re.compile(r"http://(?P<host>[^/?#\\]*)", re.IGNORECASE)
_PORT: Final = re.compile(r":\d*\Z")
_MAX_NAME: Final = 512
#: The base of each request's URL; only its scheme is used. See `safeurl.url.resolve`.
_BASE: Final = "http://base.invalid/"
_HTTP_PORT: Final = 80
#: The headers that frame a body. A CONNECT has no body (RFC 9110, 9.3.6), but h11 would wait for
#: one if the request had such a header.
_LENGTH: Final = b"content-length"
_CODING: Final = b"transfer-encoding"
_FRAMING: Final = frozenset((_LENGTH, _CODING))
_CONNECTION: Final = b"connection"
_VERSIONS: Final = frozenset((b"1.0", b"1.1"))


class ProxyRequestError(Exception):
    """The gateway does not serve the request; `rule` is the reason, `status` the response's."""

    def __init__(self, status: int, rule: str) -> None:
        """Keep status and rule."""
        super().__init__(rule)
        self.status = status
        self.rule = rule


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """One request: its destination, as the sandbox wrote it, and the bytes after its head."""

    #: The host as the sandbox wrote it, cut to the length of the field in the evidence; an IPv6
    #: literal keeps its brackets.
    name: str
    #: The port that `target` reads; 0 if it is no port.
    port: int
    #: The address, if the host is a literal address; evidence of a refusal.
    literal: tuple[str, ...]
    #: The URL that names host and port, as the sandbox wrote them.
    url: str
    #: The request to forward; None for a tunnel.
    forwarded: h11.Request | None
    #: Holds the bytes after the head.
    http: h11.Connection

    def target(self, policy: AddressPolicy) -> ParsedUrl:
        """Return the destination as a browser reads the URL; `UrlRefusedError` if it is refused.

        Every spelling of an address is normalised to the address that the policy judged. A URL
        that other parsers read as another host is refused; the fetcher never sends one.
        """
        return resolve(_BASE, self.url, policy, is_strict=True)

    def rest(self) -> bytes:
        """Return the bytes after the head of a CONNECT: the first bytes of the tunnel."""
        return self.http.trailing_data[0]


async def read_request(connection: socket.socket, head_timeout_s: float) -> ProxyRequest | None:
    """Read one head; return None if the client closed, or sent nothing within the time limit."""
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    try:
        async with asyncio.timeout(head_timeout_s):
            request = await _read_head(connection, http)
    except TimeoutError:
        if not http.trailing_data[0]:
            return None
        raise ProxyRequestError(408, "head_timeout") from None
    return None if request is None else _parse(request, http)


async def _read_head(connection: socket.socket, http: h11.Connection) -> h11.Request | None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            event = http.next_event()
        except h11.RemoteProtocolError as error:
            raise ProxyRequestError(error.error_status_hint, "bad_request") from error
        if isinstance(event, h11.Request):
            return event
        if event is not h11.NEED_DATA:
            return None
        http.receive_data(await loop.sock_recv(connection, _READ_BYTES))
        # Yields to other tasks: `sock_recv` does not suspend while bytes are ready.
        await asyncio.sleep(0)


def _parse(request: h11.Request, http: h11.Connection) -> ProxyRequest:
    try:
        target = request.target.decode("ascii")
    except UnicodeDecodeError:
        raise ProxyRequestError(400, "bad_request") from None
    if request.http_version not in _VERSIONS:
        raise ProxyRequestError(505, "version")
    if not _is_framed_once(request):
        raise ProxyRequestError(400, "bad_request")
    if request.method == b"CONNECT":
        if _FRAMING & {name for name, _ in request.headers}:
            raise ProxyRequestError(400, "bad_request")
        # Ends the (absent) body; from then on h11 keeps all further bytes in `trailing_data`.
        http.next_event()
        return _tunnel_request(target, http)
    return _forward_request(request, target, http)


def _is_framed_once(request: h11.Request) -> bool:
    """Return True if h11 and every server find the same end of the request's body.

    RFC 9112 (6.1, 6.3): a length together with a coding, or a coding in HTTP/1.0, allows request
    smuggling. The gateway removes the headers that `Connection` names, so `Connection` must not
    name the framing headers. h11 itself refuses lengths that differ and codings other than
    `chunked`.
    """
    names = {name for name, _ in request.headers}
    if names >= _FRAMING or (_CODING in names and request.http_version == b"1.0"):
        return False
    return not named_by_connection(request) & (_FRAMING | {b"host"})


def named_by_connection(request: h11.Request) -> frozenset[bytes]:
    """Return the names of the headers that `Connection` declares hop-by-hop."""
    listed = [value for name, value in request.headers if name == _CONNECTION]
    return frozenset(token.strip().lower() for value in listed for token in value.split(b","))


def _tunnel_request(target: str, http: h11.Connection) -> ProxyRequest:
    match = _AUTHORITY.fullmatch(target)
    if match is None:
        raise ProxyRequestError(400, "bad_request")
    url = f"http://{target}/"
    port = int(match["port"])
    return ProxyRequest(
        match["host"][:_MAX_NAME], _bounded(port), _read_host(url)[2], url, None, http
    )


def _forward_request(request: h11.Request, target: str, http: h11.Connection) -> ProxyRequest:
    match = _HTTP_URL.match(target)
    if match is None:
        # Origin form, `*`, or another scheme: not a proxy request for an http URL.
        raise ProxyRequestError(405, "method")
    host, port, literal = _read_host(target)
    # In `http:////host/` the pattern finds no host, but a browser skips the extra slashes.
    name = _PORT.sub("", match["host"].rpartition("@")[2]) or host
    return ProxyRequest(name[:_MAX_NAME], port, literal, target, request, http)


def _read_host(url: str) -> tuple[str, int, tuple[str, ...]]:
    """Return host, port and literal address as `safeurl.url` reads them; refuse nothing."""
    try:
        read = URL(url, _BASE)
    except ValueError:
        return "", 0, ()
    host = read.hostname.strip("[]")
    return host, int(read.port or _HTTP_PORT), () if read.host_type == HostType.DEFAULT else (host,)


def _bounded(port: int) -> int:
    return port if port < 2**16 else 0
