"""What a sandbox asks of its socket: the head of one HTTP/1.1 request, read with suspicion."""

import asyncio
import re
import socket
from dataclasses import dataclass
from typing import Final

import h11
from ada_url import URL, HostType

from safeurl.address import AddressPolicy
from safeurl.url import ParsedUrl, resolve

#: A head may be this long and take this long; browsers send up to 16 KiB with long cookies.
MAX_HEAD_BYTES: Final = 32 * 1024
HEAD_TIMEOUT_S: Final = 10.0

_READ_BYTES: Final = 16 * 1024
#: Whatever else stood in it would change where the authority begins or ends.
_AUTHORITY: Final = re.compile(
    r"(?P<host>\[[^\[\]@/?#\\\s]*\]|[^\[\]@/?#\\\s:]+):(?P<port>\d{1,5})"
)
_PLAIN: Final = re.compile(r"http://(?P<host>[^/?#\\]*)", re.IGNORECASE)
_PORT: Final = re.compile(r":\d*\Z")
_MAX_NAME: Final = 512
#: Of what is resolved against it nothing is left but the scheme; see `safeurl.url.resolve`.
_BASE: Final = "http://base.invalid/"
_HTTP_PORT: Final = 80
#: Where a body ends. h11 would wait for one that no CONNECT has (RFC 9110, 9.3.6).
_LENGTH: Final = b"content-length"
_CODING: Final = b"transfer-encoding"
_FRAMING: Final = frozenset((_LENGTH, _CODING))
_CONNECTION: Final = b"connection"
_VERSIONS: Final = frozenset((b"1.0", b"1.1"))


class RequestError(Exception):
    """The request is none that the gateway serves; `rule` says why, `status` is the answer's."""

    def __init__(self, status: int, rule: str) -> None:
        """Keep both."""
        super().__init__(rule)
        self.status = status
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Ask:
    """One request: where to, in the sandbox's own words, and what came after its head."""

    #: As it was asked for, cut to what evidence holds; a literal keeps its brackets.
    name: str
    #: As `target` reads it; 0 where it cannot be one.
    port: int
    #: The address that the host spells, for evidence of a refusal; nothing for a name.
    literal: tuple[str, ...]
    #: The URL that names host and port, in the spelling of the request.
    url: str
    #: The request where it is to be forwarded; None for a tunnel.
    plain: h11.Request | None
    #: Holds what came after the head.
    http: h11.Connection

    def target(self, policy: AddressPolicy) -> ParsedUrl:
        """Return where it leads, as a browser reads it; raise `UrlRefusedError` where it may not.

        All spellings of an address end in the one that was judged here; a spelling in which others
        see another host is refused, since the fetcher sends none.
        """
        return resolve(_BASE, self.url, policy, is_strict=True)

    def rest(self) -> bytes:
        """Return the bytes after the head of a CONNECT: the tunnel's first ones."""
        return self.http.trailing_data[0]


async def read_ask(connection: socket.socket, head_timeout_s: float) -> Ask | None:
    """Read one head; None where the client left without a word, or said none in time."""
    http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
    try:
        async with asyncio.timeout(head_timeout_s):
            request = await _read_request(connection, http)
    except TimeoutError:
        if not http.trailing_data[0]:
            return None
        raise RequestError(408, "head_timeout") from None
    return None if request is None else _ask(request, http)


async def _read_request(connection: socket.socket, http: h11.Connection) -> h11.Request | None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            event = http.next_event()
        except h11.RemoteProtocolError as error:
            raise RequestError(error.error_status_hint, "bad_request") from error
        if isinstance(event, h11.Request):
            return event
        if event is not h11.NEED_DATA:
            return None
        http.receive_data(await loop.sock_recv(connection, _READ_BYTES))
        # Bytes that come one by one, and are there at once, would never suspend this.
        await asyncio.sleep(0)


def _ask(request: h11.Request, http: h11.Connection) -> Ask:
    try:
        target = request.target.decode("ascii")
    except UnicodeDecodeError:
        raise RequestError(400, "bad_request") from None
    if request.http_version not in _VERSIONS:
        raise RequestError(505, "version")
    if not _is_framed_once(request):
        raise RequestError(400, "bad_request")
    if request.method == b"CONNECT":
        if _FRAMING & {name for name, _ in request.headers}:
            raise RequestError(400, "bad_request")
        # To the end of the (absent) body, after which h11 hands out the rest untouched.
        http.next_event()
        return _tunnel_ask(target, http)
    return _plain_ask(request, target, http)


def _is_framed_once(request: h11.Request) -> bool:
    """Tell whether all who read the request, h11 and servers, find the end of its body alike.

    RFC 9112 (6.1, 6.3): a length beside a coding, or a coding in HTTP/1.0, is how requests are
    smuggled. What `Connection` names ends here, so that it may not name the framing itself. That
    lengths agree, and that no coding but `chunked` is there, h11 has seen to.
    """
    names = {name for name, _ in request.headers}
    if names >= _FRAMING or (_CODING in names and request.http_version == b"1.0"):
        return False
    return not named_by_connection(request) & (_FRAMING | {b"host"})


def named_by_connection(request: h11.Request) -> frozenset[bytes]:
    """Return the names of headers that are meant for this hop alone."""
    listed = [value for name, value in request.headers if name == _CONNECTION]
    return frozenset(token.strip().lower() for value in listed for token in value.split(b","))


def _tunnel_ask(target: str, http: h11.Connection) -> Ask:
    match = _AUTHORITY.fullmatch(target)
    if match is None:
        raise RequestError(400, "bad_request")
    url = f"http://{target}/"
    port = int(match["port"])
    return Ask(match["host"][:_MAX_NAME], _bounded(port), _read_host(url)[2], url, None, http)


def _plain_ask(request: h11.Request, target: str, http: h11.Connection) -> Ask:
    match = _PLAIN.match(target)
    if match is None:
        # Origin form, `*`, or another scheme: no request to a proxy for a page.
        raise RequestError(405, "method")
    host, port, literal = _read_host(target)
    # A browser skips slashes too many, so that the spelling may show no host where there is one.
    name = _PORT.sub("", match["host"].rpartition("@")[2]) or host
    return Ask(name[:_MAX_NAME], port, literal, target, request, http)


def _read_host(url: str) -> tuple[str, int, tuple[str, ...]]:
    """Return host, port and literal address as `safeurl.url` reads them, refusing nothing."""
    try:
        read = URL(url, _BASE)
    except ValueError:
        return "", 0, ()
    host = read.hostname.strip("[]")
    return host, int(read.port or _HTTP_PORT), () if read.host_type == HostType.DEFAULT else (host,)


def _bounded(port: int) -> int:
    return port if port < 2**16 else 0
