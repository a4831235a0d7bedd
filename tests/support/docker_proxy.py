"""A proxy in front of the real Docker engine that delays, changes, refuses or cuts responses.

The engine itself is never touched: other tests use it.
"""

import contextlib
import select
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.images import SOCKET_PATH

_POLL_S = 0.05
_JOIN_S = 10.0


class DockerProxy:
    """Forwards bytes between workers and the engine; a test can change them."""

    def __init__(self, path: Path) -> None:
        """Store the path of the socket, which the workers use as DOCKER_SOCKET_PATH."""
        self.path = path
        #: The delay of every response.
        self.delay_s = 0.0
        #: Replacements in responses, of equal length; a match across two reads is not found.
        self.instead: dict[bytes, bytes] = {}
        self._listener: socket.socket | None = None
        self._accepting: threading.Thread | None = None
        self._threads: list[threading.Thread] = []
        self._stopped = threading.Event()

    def start(self) -> None:
        """Listen, like an engine that has started."""
        self.vanish()
        self._stopped = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen()
        self._accepting = threading.Thread(
            target=self._accept, args=(self._listener, self._stopped), daemon=True
        )
        self._accepting.start()

    def stop(self) -> None:
        """Cut every connection in mid-stream and refuse new ones; the socket file remains."""
        self._stopped.set()
        if self._accepting is not None:
            self._accepting.join(_JOIN_S)
            self._accepting = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for thread in self._threads:
            thread.join(_JOIN_S)
        self._threads.clear()

    def vanish(self) -> None:
        """Stop, and remove the socket file as well."""
        self.stop()
        self.path.unlink(missing_ok=True)

    def _accept(self, listener: socket.socket, stopped: threading.Event) -> None:
        while not stopped.is_set():
            if select.select([listener], [], [], _POLL_S)[0]:
                client, _ = listener.accept()
                thread = threading.Thread(target=self._serve, args=(client, stopped), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket, stopped: threading.Event) -> None:
        # A broken pipe is how either side ends a session.
        with contextlib.suppress(OSError), client, socket.socket(socket.AF_UNIX) as engine:
            engine.connect(SOCKET_PATH)
            ways = {client: engine, engine: client}
            asked = False
            while ways and not stopped.is_set():
                for source in select.select(list(ways), [], [], _POLL_S)[0]:
                    data = source.recv(1 << 16)
                    if source is engine and asked:
                        stopped.wait(self.delay_s)
                    if source is engine:
                        data = self._changed(data)
                    asked = source is client
                    if data:
                        ways[source].sendall(data)
                    else:
                        # An attached client closes its half, and still receives the response.
                        ways.pop(source).shutdown(socket.SHUT_WR)

    def _changed(self, data: bytes) -> bytes:
        for words, other in self.instead.items():
            assert len(words) == len(other)
            data = data.replace(words, other)
        return data

    def __enter__(self) -> Self:
        """Listen."""
        self.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Stop, and remove the socket file."""
        self.vanish()
