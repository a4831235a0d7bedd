"""A listener that must not be reached, and that reports each connection."""

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

_HEAD_S = 5.0
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\ncaught"


@dataclass(slots=True)
class Canary:
    """Answers on one port of several addresses until it is closed; a context manager."""

    hosts: tuple[str, ...]
    port: int = 0
    #: The address that each connection came to, in the order of arrival; no byte need follow.
    visits: list[str] = field(default_factory=list)
    _listeners: list[socket.socket] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Listen."""
        for host in self.hosts:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = socket.create_server((host, self.port), family=family, backlog=128)
            self.port = listener.getsockname()[1]
            self._listeners.append(listener)
            thread = threading.Thread(target=self._accept, args=(listener, host), daemon=True)
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Stop and wait for the threads."""
        for listener in self._listeners:
            # A blocked accept() notices shutdown, but not close.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for thread in self._threads:
            thread.join(timeout=10)

    def _accept(self, listener: socket.socket, host: str) -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            self.visits.append(host)
            # The client may close before it gets a response.
            with contextlib.suppress(OSError), connection:
                connection.settimeout(_HEAD_S)
                connection.recv(4096)
                connection.sendall(_ANSWER)
