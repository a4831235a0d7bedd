"""A server that is not Redis, or a hostile one: it sends the same bytes to every command."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

_HELLO = b"%1\r\n+proto\r\n:3\r\n"

#: Answers that no Redis gives to the commands of a queue, by what is wrong with them.
ANSWERS = {
    "deeply nested": b"*1\r\n" * 5_000,
    "a text": b"$3\r\nabc\r\n",
    "a list": b"*2\r\n:1\r\n:2\r\n",
    "a long number": b":" + b"9" * 5_000 + b"\r\n",
    "no number": b"*x\r\n",
    "no float": b",x\r\n",
    "not UTF-8": b"\xff\xff\r\n",
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "control characters": b"-ERR \x1b[2J\x1b]0;owned\x07\r\n",
    "somewhere else": b"-MOVED 1 127.0.0.1:1\r\n",
}


class StrayRedis:
    """Listens on a loopback port until the end of the `with` block."""

    def __init__(self, answer: bytes) -> None:
        """Prepare; `answer` is sent for every command but a client's greeting."""
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._clients: list[socket.socket] = []
        self.port = int(self._listener.getsockname()[1])

    @property
    def settings(self) -> dict[str, str]:
        """The settings that lead to it."""
        return {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(self.port)}

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._clients.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                commands = data.count(b"\r\n*") + 1
                if b"HELLO" in data:
                    client.sendall(_HELLO + b"+OK\r\n" * (commands - 1))
                elif b"SETINFO" in data:
                    client.sendall(b"+OK\r\n" * commands)
                else:
                    client.sendall(self._answer * commands)

    def __enter__(self) -> Self:
        """Begin to accept clients."""
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Close all."""
        for each in (self._listener, *self._clients):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
