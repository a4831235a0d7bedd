"""A server on loopback that answers with a case's bytes and keeps what it was asked."""

import contextlib
import socket
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from tests.browser.case import ORIGIN, Response

_MAX_REQUEST = 64 * 1024
_IDLE_S = 5.0


class Origin:
    """Serves one case; a context manager."""

    def __init__(self, responses: Mapping[str, Response]) -> None:
        """Take the responses by request target; it listens from `__enter__` on."""
        self._responses = responses
        self._lock = threading.Lock()
        self._requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.place = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        """Listen."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def requests(self) -> tuple[bytes, ...]:
        """Return the requests so far, in order, without those for `/favicon.ico`."""
        with self._lock:
            return tuple(x for x in self._requests if x.split(b" ", 2)[1] != b"/favicon.ico")

    def relative(self, text: str) -> str:
        """Return the text with this server's address written as `ORIGIN`."""
        return text.replace(self.place, ORIGIN)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(_IDLE_S)
        with connection, contextlib.suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request and len(request) < _MAX_REQUEST:
                more = connection.recv(_MAX_REQUEST)
                if not more:
                    return
                request += more
            with self._lock:
                self._requests.append(request)
            connection.sendall(self._response(request))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(_MAX_REQUEST):
                pass

    def _response(self, request: bytes) -> bytes:
        target = request.split(b" ", 2)[1].decode("latin-1")
        found = self._responses.get(target, self._responses.get("*"))
        if found is None:
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        data = found(request) if callable(found) else found
        # Content-Length stays right where the case's bytes do not name the server.
        return data.replace(ORIGIN.encode(), self.place.encode())


def summaries(requests: tuple[bytes, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return `METHOD target` and the Cookie header of each request."""
    lines = tuple(
        " ".join(x.split(b"\r\n", 1)[0].decode("latin-1").split(" ")[:2]) for x in requests
    )
    return lines, tuple(_cookie(request) for request in requests)


def _cookie(request: bytes) -> str:
    head = request.split(b"\r\n\r\n", 1)[0].decode("latin-1")
    pairs = (line.partition(":") for line in head.split("\r\n")[1:])
    return next((value.strip() for name, _, value in pairs if name.lower() == "cookie"), "")
