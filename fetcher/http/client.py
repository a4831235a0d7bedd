"""Requests one URL with the headers of a browser."""

import contextlib
import re
import socket
import time
from collections.abc import Callable

from msgspec import Struct, field

from fetcher.deadline import Deadline, milliseconds_since
from fetcher.failure import FetchFailedError
from fetcher.http.cookies import CookieJar
from fetcher.http.dial import Dialler
from fetcher.http.exchange import Exchange, Http11RequiredError
from fetcher.http.framing import conflicting_header
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
#: The ALPN protocols that browsers offer, in the order of preference.
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


class Response(Struct, frozen=True):
    """A response whose head has been read. The caller must close it."""

    target: ParsedUrl
    head: Head
    exchange: Exchange
    connection: socket.socket

    @property
    def location(self) -> str:
        """The target of a redirect as the server wrote it; empty if there is no redirect."""
        if self.head.status not in _REDIRECTS:
            return ""
        found = next(filter(None, self.head.raw_values(b"location")), b"")
        # As in Chromium: bytes that are not ASCII are percent-encoded and not decoded as text.
        return _NOT_ASCII.sub(lambda match: b"%%%02X" % match[0][0], found).decode("ascii")

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


class Client(Struct):
    """Requests URLs one at a time and keeps their cookies."""

    dialler: Dialler
    user_agent: str = DEFAULT_USER_AGENT
    #: Called with the recorder of every hop, including failed ones.
    on_hop: Callable[[HopRecorder], None] = lambda _recorder: None
    jar: CookieJar = field(default_factory=CookieJar)

    def open(self, target: ParsedUrl, via: str, deadline: Deadline) -> Response:
        """Return the response to a GET request; raise `FetchFailedError` if there is none."""
        recorder = HopRecorder(target.url, target.host, target.port, via)
        try:
            try:
                return self._open(target, recorder, deadline)
            except Http11RequiredError:
                return self._open(target, recorder, deadline, allow_http2=False)
        except FetchFailedError as failure:
            recorder.error = failure.result.detail
            raise
        finally:
            self.on_hop(recorder)

    def _open(
        self,
        target: ParsedUrl,
        recorder: HopRecorder,
        deadline: Deadline,
        *,
        allow_http2: bool = True,
    ) -> Response:
        with contextlib.ExitStack() as stack:
            connection = self._connect(target, recorder, deadline, allow_http2=allow_http2)
            stack.callback(connection.close)
            is_http2 = recorder.tls is not None and recorder.tls.alpn == _HTTP_2
            exchange = _exchange_type(is_http2=is_http2)(
                connection,
                deadline,
                is_secure=target.scheme == "https",
                is_default_port=target.port == _DEFAULT_PORTS[target.scheme],
            )
            sent_at = time.monotonic()
            recorder.head = exchange.send_get(*self._request(target))
            recorder.first_byte_ms = milliseconds_since(sent_at)
            _reject_conflict(recorder.head)
            for value in recorder.head.raw_values(b"set-cookie"):
                self.jar.store(target, value.decode("latin-1"))
            response = Response(target, recorder.head, exchange, connection)
            recorder.location = response.location or None
            stack.pop_all()
            return response

    def _connect(
        self, target: ParsedUrl, recorder: HopRecorder, deadline: Deadline, *, allow_http2: bool
    ) -> socket.socket:
        connection = self.dialler.dial(recorder, deadline)
        if target.scheme == "http":
            return connection
        # Importing TLS and certificate modules takes 90 ms of CPU time, which plain HTTP does not
        # need.
        from fetcher.http.tls import secure  # noqa: PLC0415 - see above

        protocols = (*((_HTTP_2,) if allow_http2 else ()), _HTTP_1_1)
        return secure(connection, self.dialler, recorder, deadline, protocols)

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
    # Importing it takes 14 ms of CPU time.
    from fetcher.http.http2 import Http2Exchange  # noqa: PLC0415 - see above

    return Http2Exchange


def _reject_conflict(head: Head) -> None:
    """Raise an error if browsers would display an error instead of the response."""
    name = conflicting_header(head)
    if name:
        raise FetchFailedError(
            Outcome.HTTP_ERROR,
            f"The response has different values of {name}; browsers show an error instead.",
        )
