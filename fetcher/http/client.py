"""Asks one URL for its page, looking like a browser."""

import contextlib
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from fetcher.deadline import Deadline, milliseconds_since
from fetcher.failure import FetchFailedError
from fetcher.http.cookies import CookieJar
from fetcher.http.dial import Dialler
from fetcher.http.exchange import Exchange, Http11RequiredError
from fetcher.http.framing import conflict
from fetcher.http.head import Head
from fetcher.http.hop_recorder import HopRecorder
from safeurl.state import Outcome
from safeurl.url import ParsedUrl

#: A current desktop browser; a setting replaces it.
DEFAULT_USER_AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/154.0.0.0 Safari/537.36"
)

_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_DEFAULT_PORTS = {"http": 80, "https": 443}
#: As browsers offer them in a TLS handshake, the better one first.
_HTTP_2, _HTTP_1_1 = "h2", "http/1.1"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

_BROWSER_HEADERS = (
    ("Upgrade-Insecure-Requests", "1"),
    (
        "Accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    ),
    ("Sec-Fetch-Site", "none"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-User", "?1"),
    ("Sec-Fetch-Dest", "document"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Accept-Language", "en-US,en;q=0.9"),
)


@dataclass(frozen=True, slots=True)
class Visit:
    """A response whose head has been read; close it."""

    target: ParsedUrl
    head: Head
    exchange: Exchange
    connection: socket.socket

    @property
    def location(self) -> str:
        """Where the response redirects to, as the server wrote it; empty when it does not."""
        if self.head.status not in _REDIRECTS:
            return ""
        found = next(filter(None, self.head.raw_values(b"location")), b"")
        # As Chromium: bytes stay what they are, in whatever character set they were meant.
        return _NOT_ASCII.sub(lambda match: b"%%%02X" % match[0][0], found).decode("ascii")

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


@dataclass(slots=True)
class Client:
    """Opens URLs one at a time and keeps their cookies."""

    dialler: Dialler
    user_agent: str = DEFAULT_USER_AGENT
    #: Called with the evidence of every hop, also of one that failed.
    on_hop: Callable[[HopRecorder], None] = lambda _trace: None
    jar: CookieJar = field(default_factory=CookieJar)

    def open(self, target: ParsedUrl, via: str, deadline: Deadline) -> Visit:
        """Return the response to a GET; raise `FetchFailedError` where there is none."""
        trace = HopRecorder(target.url, target.host, target.port, via)
        try:
            try:
                return self._open(target, trace, deadline)
            except Http11RequiredError:
                return self._open(target, trace, deadline, takes_http2=False)
        except FetchFailedError as failure:
            trace.error = failure.ending.detail
            raise
        finally:
            self.on_hop(trace)

    def _open(
        self, target: ParsedUrl, trace: HopRecorder, deadline: Deadline, *, takes_http2: bool = True
    ) -> Visit:
        with contextlib.ExitStack() as stack:
            connection = self._connect(target, trace, deadline, takes_http2=takes_http2)
            stack.callback(connection.close)
            is_http2 = trace.tls is not None and trace.tls.alpn == _HTTP_2
            exchange = _exchange_type(is_http2=is_http2)(
                connection,
                deadline,
                is_secure=target.scheme == "https",
                is_default_port=target.port == _DEFAULT_PORTS[target.scheme],
            )
            asked = time.monotonic()
            trace.head = exchange.ask(*self._request(target))
            trace.first_byte_ms = milliseconds_since(asked)
            _check(trace.head)
            for value in trace.head.raw_values(b"set-cookie"):
                self.jar.store(target, value.decode("latin-1"))
            visit = Visit(target, trace.head, exchange, connection)
            trace.location = visit.location or None
            stack.pop_all()
            return visit

    def _connect(
        self, target: ParsedUrl, trace: HopRecorder, deadline: Deadline, *, takes_http2: bool
    ) -> socket.socket:
        connection = self.dialler.dial(trace, deadline)
        if target.scheme == "http":
            return connection
        # TLS and certificates cost 90 ms of CPU to load, which plain HTTP need not pay.
        from fetcher.http.tls import secure  # noqa: PLC0415 - see above

        protocols = (*((_HTTP_2,) if takes_http2 else ()), _HTTP_1_1)
        return secure(connection, self.dialler, trace, deadline, protocols)

    def _request(self, target: ParsedUrl) -> tuple[str, tuple[tuple[str, str | bytes], ...]]:
        address = target.url.partition("#")[0].removeprefix(f"{target.scheme}://")
        host, slash, path = address.partition("/")
        cookie = self.jar.header(target)
        headers = (
            ("Host", host),
            ("Connection", "keep-alive"),
            ("User-Agent", self.user_agent),
            *_BROWSER_HEADERS,
            *((("Cookie", cookie.encode("latin-1")),) if cookie else ()),
        )
        return slash + path, headers


def _exchange_type(*, is_http2: bool) -> type[Exchange]:
    if not is_http2:
        return Exchange
    # It costs 14 ms of CPU to load.
    from fetcher.http.http2 import Http2Exchange  # noqa: PLC0415 - see above

    return Http2Exchange


def _check(head: Head) -> None:
    """Raise where browsers show an error in place of the response, so that nobody sees it."""
    name = conflict(head)
    if name:
        raise FetchFailedError(
            Outcome.HTTP_ERROR,
            f"The response has different values of {name}; browsers show no page of it.",
        )
