"""A TCP proxy before sqld that behaves as Turso Cloud does, or loses answers."""

import select
import socket
import threading
from types import TracebackType
from typing import Self

#: One of them is in every answer to a batch: on WebSockets, and in HTTP, where it may be zipped.
_ANSWERS = (b"step_results", b"HTTP/1.1 200")

_REFUSALS = {
    b"upgrade: websocket": b"HTTP/1.1 505 HTTP Version Not Supported",
    b"post /v1/": b"HTTP/1.1 404 Not Found",
}


class LibSQLProxy:
    """Forwards bytes to a server on loopback from its own port."""

    def __init__(self, port: int, *, as_turso: bool = False, lacks: bytes = b"") -> None:
        """With `as_turso` WebSockets get 505 and `/v1` 404; `lacks` names one more path to 404."""
        self._port = port
        self._refusals = dict(_REFUSALS) if as_turso else {}
        if lacks:
            self._refusals[b"post " + lacks] = b"HTTP/1.1 404 Not Found"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._drops = 0
        self._spared = 0
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        #: How many answers were lost so far.
        self.dropped = 0
        #: The request heads that were seen, lower-case.
        self.heads: list[bytes] = []

    @property
    def authority(self) -> str:
        """Host and port."""
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def drop_answers(self, count: int, *, after: int = 0) -> None:
        """Forward batches, but close the connection instead of forwarding the response.

        The first `after` responses are forwarded.
        """
        self._drops = count
        self._spared = after

    def __enter__(self) -> Self:
        """Begin to accept."""
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cut every connection and join every thread."""
        self._ended.set()
        for thread in self._threads:
            thread.join(timeout=10)
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            if select.select([self._listener], [], [], 0.05)[0]:
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._port)) as server:
            ways = {client: server, server: client}
            while not self._ended.is_set():
                for source in select.select(list(ways), [], [], 0.05)[0]:
                    if not self._pass_on(source, ways[source], from_client=source is client):
                        return

    def _pass_on(self, source: socket.socket, target: socket.socket, *, from_client: bool) -> bool:
        """Forward the bytes; return False at the end of the connection."""
        try:
            data = source.recv(1 << 20)
            refusal = self._refusal(data) if from_client else None
            if refusal is not None:
                source.sendall(refusal + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return False
            if not from_client and self._is_dropped(data):
                return False
            target.sendall(data)
        except OSError:
            return False
        return bool(data)

    def _is_dropped(self, data: bytes) -> bool:
        if not self._drops or not any(mark in data for mark in _ANSWERS):
            return False
        if self._spared:
            self._spared -= 1
            return False
        self._drops -= 1
        self.dropped += 1
        return True

    def _refusal(self, data: bytes) -> bytes | None:
        head = data.partition(b"\r\n\r\n")[0].lower()
        if head.startswith((b"get ", b"post ")):
            self.heads.append(head)
            for mark, answer in self._refusals.items():
                if mark in head:
                    return answer
        return None
