"""A scripted web server on loopback (or any address), also for invalid responses.

    with PageServer({"/": lambda request: html("<title>Hi</title>")}) as server:
        fetch(server.url("/"))

A route is a function from the request to a `Reply`: status, headers and pieces of the body,
which are sent one by one, or raw bytes instead of HTTP. `python -m tests.support.pages --port P`
serves the routes of `tests.support.routes`.
"""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

_MAX_REQUEST = 64 * 1024
_IDLE_S = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """A client's request; header names are lower-case."""

    method: str
    target: str
    headers: Mapping[str, str]
    client: str
    #: Set when the server closes; waiting for it ends a sleep early.
    closing: threading.Event

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The first value of each query parameter."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}

    def sleep(self, seconds: float) -> None:
        """Wait for this time, or until the server closes."""
        self.closing.wait(seconds)


@dataclass(frozen=True, slots=True)
class Reply:
    """A response; the connection closes after it."""

    #: One piece, or several that are sent one by one (a generator may sleep or never end).
    body: bytes | Iterable[bytes] = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "text/html; charset=utf-8"
    chunked: bool = False
    #: True if only `body` is sent, without a status line and headers.
    raw: bool = False


Handler = Callable[[Request], Reply]


def html(text: str, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Return a page of HTML."""
    return Reply(text.encode(), status, headers)


def redirect(location: str, status: int = 302) -> Reply:
    """Return a redirect."""
    return Reply(b"", status, (("Location", location),))


def not_found(request: Request) -> Reply:
    """Return the response for unknown paths."""
    return html(f"<title>Not found</title><p>No page at this path ({request.method}).", 404)


@dataclass(slots=True)
class PageServer:
    """Serves routes by exact path until it is closed; a context manager."""

    routes: dict[str, Handler] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = 0
    #: A file with certificate and key; if given, the server uses TLS.
    certificate: Path | None = None
    #: Changes the TLS context before use, for example to allow old versions.
    tune_tls: Callable[[ssl.SSLContext], None] = lambda _context: None
    fallback: Handler = not_found
    #: Every request, in the order of arrival.
    requests: list[Request] = field(default_factory=list)
    _closing: threading.Event = field(default_factory=threading.Event)
    _listener: socket.socket = field(init=False)
    _threads: list[threading.Thread] = field(default_factory=list)
    _open: set[socket.socket] = field(default_factory=set)
    _tls: ssl.SSLContext | None = None

    def url(self, path: str = "/", host: str = "") -> str:
        """Return the absolute URL of a path, with another host name if one is given."""
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://{host or self.host}:{self.port}{path}"

    def start(self) -> None:
        """Listen on a port; `port` is then its number."""
        if self.certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(self.certificate)
            self._tls.set_alpn_protocols(["http/1.1"])
            self.tune_tls(self._tls)
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, self.port), family=family, backlog=128)
        self.port = self._listener.getsockname()[1]
        self._spawn(self._accept)

    def close(self) -> None:
        """Stop listening, close open connections and wait for their threads."""
        self._closing.set()
        # A blocked accept() ends at shutdown, but not at close.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in tuple(self._threads):
            thread.join(timeout=10)

    def __enter__(self) -> Self:
        """Start serving."""
        self.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Close the server."""
        self.close()

    def _spawn(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads = [each for each in self._threads if each.is_alive()] + [thread]
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, peer = self._listener.accept()
            except OSError:
                return
            self._open.add(connection)
            self._spawn(self._serve, connection, str(peer[0]))

    def _serve(self, connection: socket.socket, peer: str) -> None:
        # A client may leave or fail the handshake as part of the test.
        with contextlib.suppress(OSError), connection:
            connection.settimeout(_IDLE_S)
            if self._tls is None:
                self._answer(connection, peer)
                return
            with self._tls.wrap_socket(connection, server_side=True) as secure:
                self._open.add(secure)
                try:
                    self._answer(secure, peer)
                finally:
                    self._open.discard(secure)
        self._open.discard(connection)

    def _answer(self, connection: socket.socket, peer: str) -> None:
        request = self._read(connection, peer)
        if request is None:
            return
        self.requests.append(request)
        for piece in _wire(self.routes.get(request.path, self.fallback)(request)):
            if self._closing.is_set():
                return
            connection.sendall(piece)
        # Only the sending side is closed, so that the client can read everything.
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(1.0)
        connection.recv(1)

    def _read(self, connection: socket.socket, peer: str) -> Request | None:
        data = b""
        while b"\r\n\r\n" not in data and len(data) < _MAX_REQUEST:
            piece = connection.recv(_MAX_REQUEST)
            if not piece:
                return None
            data += piece
            if not data[:1].isalpha():
                # For example TLS on a plain port: respond with an error, as servers do, instead of
                # waiting.
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                return None
        first, *lines = data.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        method, target = first.split(" ")[:2]
        pairs = (line.partition(":") for line in lines)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        return Request(method, target, headers, peer, self._closing)


def _wire(reply: Reply) -> Iterator[bytes]:
    pieces = (reply.body,) if isinstance(reply.body, bytes) else reply.body
    if reply.raw:
        yield from pieces
        return
    headers = [("Content-Type", reply.content_type), *reply.headers, ("Connection", "close")]
    if reply.chunked:
        headers.append(("Transfer-Encoding", "chunked"))
    elif isinstance(reply.body, bytes) and "content-length" not in {n.lower() for n, _ in headers}:
        headers.append(("Content-Length", str(len(reply.body))))
    try:
        phrase = HTTPStatus(reply.status).phrase
    except ValueError:
        phrase = "Odd"
    head = [f"HTTP/1.1 {reply.status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    yield ("\r\n".join(head) + "\r\n\r\n").encode("latin-1", "replace")
    for piece in pieces:
        yield b"%x\r\n%s\r\n" % (len(piece), piece) if reply.chunked else piece
    if reply.chunked:
        yield b"0\r\n\r\n"


if __name__ == "__main__":
    from tests.support.routes import main

    main()
