"""Clients of the API that keep its connections: each way costs the client very little."""

import contextlib
import resource
import socket
import time
from collections.abc import Iterator, Sequence
from http import HTTPStatus

from tests.support.live_api import client_of

#: All of 127.0.0.0/8 is this machine, and each address of it counts as a separate client.
LOCAL = "127.0.0.1"

_TIMEOUT_S = 20.0

_POST = (
    b"POST /api/scans HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 1000\r\n\r\n"
)
_PAGE = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"

#: The bytes that a client sends before it stops, by the wait that follows at the server.
WAYS = {
    "nothing": b"",
    "half a line": b"GET /heal",
    "half a head": b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: ",
    "half a body": _POST + b'{"url": "https://www.example.com/"}',
    "half a chunk": _POST.replace(b"Content-Length: 1000", b"Transfer-Encoding: chunked")
    + b"ff\r\n{",
    "no body": _POST,
    "an early answer": _POST.replace(b"application/json", b"text/plain") + b"x",
    "expected": _POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"),
    "kept alive": b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "never read": _PAGE * 200,
    "garbage after a request": b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n\x00\xff nonsense",
}


def connect(address: str, source: str = LOCAL, *, small: bool = False) -> socket.socket:
    """Open a connection to `http://host:port`; `small`: with hardly a buffer for answers."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if small:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        client.settimeout(_TIMEOUT_S)
        client.bind((source, 0))
        client.connect((host, int(port)))
    except OSError:
        client.close()
        raise
    return client


@contextlib.contextmanager
def crowd(
    address: str, number: int, payload: bytes, sources: Sequence[str] = (LOCAL,)
) -> Iterator[list[socket.socket]]:
    """Open so many connections, from each source in turn, and send the same on all of them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.ExitStack() as stack:
        clients = []
        for index in range(number):
            client = stack.enter_context(
                connect(address, sources[index % len(sources)], small=payload is WAYS["never read"])
            )
            # A server that has closed already, or reads no more, is what these clients may meet.
            client.setblocking(False)  # noqa: FBT003 - the library's only spelling
            with contextlib.suppress(OSError):
                client.send(payload)
            client.settimeout(_TIMEOUT_S)
            clients.append(client)
        yield clients


def served(address: str) -> int:
    """Send requests like an ordinary client, on new connections, and return the status.

    If its address has too many connections, it tries again, as the response says.
    """
    end = time.monotonic() + _TIMEOUT_S
    while True:
        with client_of(address) as client:
            status = client.get("/").status_code
        if status != HTTPStatus.TOO_MANY_REQUESTS or time.monotonic() > end:
            return status
        time.sleep(0.05)


def rest_of(client: socket.socket) -> bytes:
    """Return all that the server still sends, until it closes the connection."""
    found = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := client.recv(65536):
            found += piece
    return bytes(found)
