"""A scripted HTTP/2 server over TLS on loopback, with one request per connection."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived, WindowUpdated

_READ_BYTES = 64 * 1024
_IDLE_S = 30.0

#: Gets the request's headers, including `:path`, and acts on the connection. It yields after each
#: step; then the bytes that the library holds are sent.
Script = Callable[["Http2Connection", Mapping[str, str]], Iterable[None]]


@dataclass(slots=True)
class Http2Connection:
    """One accepted connection, and the server side of the library."""

    socket: ssl.SSLSocket
    http: H2Connection
    stream: int

    def page(self, text: str, *headers: tuple[str, str], status: int = 200) -> Iterable[None]:
        """Send a page of HTML."""
        kind = ("content-type", "text/html; charset=utf-8")
        self.http.send_headers(self.stream, [(":status", str(status)), kind, *headers])
        yield from self.data(text.encode())

    def data(self, data: bytes) -> Iterable[None]:
        """Send the body within the client's flow control window, and end the stream."""
        while data:
            room = self.http.local_flow_control_window(self.stream)
            size = min(room, self.http.max_outbound_frame_size)
            if size:
                self.http.send_data(self.stream, data[:size])
                data = data[size:]
            else:
                self.wait(WindowUpdated)
            yield
        self.http.end_stream(self.stream)
        yield

    def wait(self, kind: type) -> object:
        """Return the next event of this type."""
        while piece := self.socket.recv(_READ_BYTES):
            for event in self.http.receive_data(piece):
                if isinstance(event, kind):
                    return event
            self.flush()
        raise ConnectionError("the client has gone")

    def flush(self) -> None:
        """Send the bytes in the library's buffer."""
        self.socket.sendall(self.http.data_to_send())


@dataclass(slots=True)
class Http2Server:
    """Accepts connections until it is closed; a context manager."""

    certificate: Path
    script: Script
    #: ALPN protocols. A client that offers none of them is disconnected.
    protocols: tuple[str, ...] = ("h2",)
    #: The response to any HTTP/1.1 request.
    http11: bytes = b""
    agreed: list[str | None] = field(default_factory=list)
    _listener: socket.socket = field(init=False)
    _thread: threading.Thread = field(init=False)
    _open: set[socket.socket] = field(default_factory=set)

    def url(self, path: str = "/") -> str:
        """Return the absolute URL of a path."""
        return f"https://127.0.0.1:{self._listener.getsockname()[1]}{path}"

    def __enter__(self) -> Self:
        """Start serving."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the server."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=10)

    def _accept(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        context.set_alpn_protocols(list(self.protocols))
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            # A client may leave as part of the test.
            with contextlib.suppress(OSError), accepted:
                accepted.settimeout(_IDLE_S)
                with context.wrap_socket(accepted, server_side=True) as secure:
                    self._open = {secure}
                    self._serve(secure)

    def _serve(self, secure: ssl.SSLSocket) -> None:
        agreed = secure.selected_alpn_protocol()
        self.agreed.append(agreed)
        if agreed != "h2":
            if agreed and self.http11:
                secure.recv(_READ_BYTES)
                secure.sendall(self.http11)
            return
        config = H2Configuration(
            client_side=False,
            header_encoding="utf-8",
            # A test may send invalid frames.
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        http = H2Connection(config)
        http.initiate_connection()
        connection = Http2Connection(secure, http, 1)
        connection.flush()
        request = connection.wait(RequestReceived)
        assert isinstance(request, RequestReceived)
        headers = {str(name): str(value) for name, value in request.headers}
        for _ in self.script(connection, headers):
            connection.flush()
        connection.flush()
        # Wait until the client leaves, so that it receives everything that was sent.
        with contextlib.suppress(ssl.SSLError):
            while secure.recv(_READ_BYTES):
                pass
