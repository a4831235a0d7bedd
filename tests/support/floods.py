"""The ways in which one sandbox can load its gateway: each is endless, in its own process.

A flood gets the sandbox's folder and the ports of `HostileServer`, and counts its work.
"""

import contextlib
import multiprocessing
import os
import selectors
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support.egress import connect, connect_head, until

_FORK: Final = multiprocessing.get_context("fork")
_BLOCK: Final = 64 * 1024
_CONNECTIONS: Final = 48
_RESET: Final = struct.pack("ii", 1, 0)

#: Counts every step of a flood.
Count = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of the hostile servers."""

    #: Reads everything and sends nothing.
    sink: int
    #: Send without end, whatever the request; the second one byte by byte.
    source: int
    drip: int
    #: Resets at once.
    reset: int
    #: Sends `100 Continue` without end.
    early: int


Flood = Callable[[Path, Ports, Count], None]


def _where(port: int) -> str:
    return f"127.0.0.1:{port}"


def _tunnel(directory: Path, port: int) -> socket.socket:
    connection = connect(directory)
    connection.sendall(connect_head(_where(port)))
    connection.recv(4096)
    return connection


def _post(directory: Path, ports: Ports, count: Count, body: bytes) -> None:
    """Send a chunked request with an endless body, on some connections in turn."""
    head = f"POST http://{_where(ports.sink)}/ HTTP/1.1\r\nHost: x\r\n"
    while True:
        with contextlib.suppress(OSError), connect(directory) as connection:
            connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            while True:
                connection.sendall(body)
                count()


def tiny_chunks(directory: Path, ports: Ports, count: Count) -> None:
    """Send a body of chunks of one byte."""
    _post(directory, ports, count, b"1\r\na\r\n" * 10_000)


def chunk_extensions(directory: Path, ports: Ports, count: Count) -> None:
    """Send chunks whose extensions are far longer than their data."""
    _post(directory, ports, count, (b"1;x=" + b"y" * 4_000 + b"\r\na\r\n") * 20)


def trailers(directory: Path, ports: Ports, count: Count) -> None:
    """End each body with as many trailers as are accepted."""
    head = f"POST http://{_where(ports.sink)}/ HTTP/1.1\r\nHost: x\r\n"
    more = b"".join(b"A%d: b\r\n" % number for number in range(2_000))
    while True:
        with contextlib.suppress(OSError), connect(directory) as connection:
            connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            connection.sendall(b"0\r\n" + more)
            count()


def tiny_records(directory: Path, ports: Ports, count: Count) -> None:
    """Send handshake records of one byte: a ClientHello that never ends."""
    first, more = b"\x16\x03\x01\x00\x01\x01", b"\x16\x03\x01\x00\x01\xff" * 1_000
    while True:
        with contextlib.suppress(OSError), _tunnel(directory, ports.sink) as connection:
            connection.sendall(first)
            while True:
                connection.sendall(more)
                count()


def header_flood(directory: Path, ports: Ports, count: Count) -> None:
    """Send heads of thousands of headers, some without end, in small pieces."""
    head = f"GET http://{_where(ports.sink)}/ HTTP/1.1\r\nHost: x\r\n".encode()
    pieces = [b"".join(b"A%d: b\r\n" % (100 * a + b) for b in range(100)) for a in range(40)]
    while True:
        with contextlib.suppress(OSError), connect(directory) as connection:
            connection.sendall(head)
            for piece in pieces:
                connection.sendall(piece)
            count()


def connect_flood(directory: Path, _: Ports, count: Count) -> None:
    """Connect and close, as fast as possible."""
    while True:
        with contextlib.suppress(OSError), connect(directory):
            count()


def half_open(directory: Path, ports: Ports, count: Count) -> None:
    """Hold all accepted connections open, each with half a head; replace closed ones."""
    held: list[socket.socket] = []
    while True:
        with contextlib.suppress(OSError):
            held.append(connect(directory))
            held[-1].sendall(f"CONNECT {_where(ports.sink)} HTTP/1.1\r\nHost:".encode())
        if len(held) > 4 * _CONNECTIONS:
            held.pop(0).close()
        count()


def slow_read(directory: Path, ports: Ports, count: Count) -> None:
    """Read an endless response byte by byte, on many connections."""
    held = [_tunnel(directory, ports.source) for _ in range(_CONNECTIONS)]
    while True:
        for each in held:
            each.recv(1)
        count()


def slow_write(directory: Path, ports: Ports, count: Count) -> None:
    """Write byte by byte, on many connections."""
    held = [_tunnel(directory, ports.sink) for _ in range(_CONNECTIONS)]
    while True:
        for each in held:
            each.sendall(b"a")
        count()


def many_tunnels(directory: Path, ports: Ports, count: Count) -> None:
    """Open tunnels without end, and close the oldest."""
    held: list[socket.socket] = []
    while True:
        with contextlib.suppress(OSError):
            held.append(_tunnel(directory, ports.sink))
        if len(held) > _CONNECTIONS:
            held.pop(0).close()
        count()


def resets(directory: Path, ports: Ports, count: Count) -> None:
    """Open tunnels to a server that resets them, and leave the sent bytes unread."""
    while True:
        with contextlib.suppress(OSError), _tunnel(directory, ports.reset) as connection:
            connection.sendall(b"a" * _BLOCK)
            count()


def pipelining(directory: Path, ports: Ports, count: Count) -> None:
    """Send many requests on a connection without reading the responses."""
    request = f"GET http://{_where(ports.sink)}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    while True:
        with contextlib.suppress(OSError), connect(directory) as connection:
            connection.sendall(request * 1_000)
            count()


def names(directory: Path, _: Ports, count: Count) -> None:
    """Request names without end, each a new one."""
    held: list[socket.socket] = []
    number = 0
    while True:
        number += 1
        with contextlib.suppress(OSError):
            held.append(connect(directory))
            held[-1].sendall(connect_head(f"a{number}.example.com:80"))
        if len(held) > _CONNECTIONS:
            held.pop(0).close()
        count()


def early_hints(directory: Path, ports: Ports, count: Count) -> None:
    """Request from a server that sends interim responses only."""
    request = f"GET http://{_where(ports.early)}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    _drain(directory, request, count)


def server_flood(directory: Path, ports: Ports, count: Count) -> None:
    """Read everything that a server sends, as fast as possible, on many connections."""
    _drain(directory, connect_head(_where(ports.source)), count)


def server_drip(directory: Path, ports: Ports, count: Count) -> None:
    """Read what a server sends byte by byte, on many connections."""
    _drain(directory, connect_head(_where(ports.drip)), count)


def _drain(directory: Path, request: bytes, count: Count) -> None:
    with selectors.DefaultSelector() as selector:
        for _ in range(_CONNECTIONS):
            connection = connect(directory)
            connection.sendall(request)
            selector.register(connection, selectors.EVENT_READ, connection)
        while True:
            for key, _ in selector.select():
                key.data.recv(_BLOCK)
            count()


#: The ten best-known attacks, and their variants.
FLOODS: Final[dict[str, Flood]] = {
    each.__name__: each
    for each in (
        *(tiny_chunks, tiny_records, header_flood, connect_flood, half_open),
        *(slow_read, slow_write, many_tunnels, resets, pipelining),
        *(chunk_extensions, trailers, names, early_hints, server_flood, server_drip),
    )
}


@dataclass(frozen=True, slots=True)
class Running:
    """The process of a flood, which can be paused and resumed."""

    process: Any  # multiprocessing names the class of a context's processes privately
    _done: Any  # the same

    def rest(self) -> None:
        """Pause it at its current step."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Resume it, and return when it has made a step."""
        before = self._done.value
        os.kill(self.process.pid, signal.SIGCONT)
        until(lambda: self._done.value != before)


@contextmanager
def flooding(flood: Flood, directory: Path, ports: Ports) -> Iterator[Running]:
    """Run a flood in its own process; it is paused until `go_on` is called."""
    done = _FORK.Value("Q", 0, lock=False)

    def run() -> None:
        # A sandbox has a limited share of the CPUs. This tests the gateway, not how two processes
        # with unlimited CPU time affect a third one.
        os.nice(19)

        def count() -> None:
            done.value += 1

        flood(directory, ports, count)

    process = _FORK.Process(target=run, daemon=True)
    process.start()
    running = Running(process, done)
    try:
        until(lambda: done.value > 0)
        running.rest()
        yield running
    finally:
        process.kill()
        process.join()


@contextmanager
def hostile_servers() -> Iterator[Ports]:
    """Run the servers that floods need in their own process."""
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=512) for _ in range(5)]
    process = _FORK.Process(target=_serve_all, args=(listeners,), daemon=True)
    process.start()
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    try:
        yield Ports(*ports)
    finally:
        process.kill()
        process.join()


def _serve_all(listeners: list[socket.socket]) -> None:
    behaviours = (_swallow, _send(bytes(_BLOCK)), _send(b"a"), _reset, _send(_EARLY))
    threads = [
        threading.Thread(target=_serve, args=pair, daemon=True)
        for pair in zip(listeners, behaviours, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


_EARLY: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


def _serve(listener: socket.socket, step: Callable[[socket.socket], bool]) -> None:
    """Accept, and make a step on each ready connection, until the stop event."""
    events = selectors.EVENT_READ if step is _swallow or step is _reset else selectors.EVENT_WRITE
    with selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    accepted, _ = listener.accept()
                    accepted.settimeout(0)
                    selector.register(accepted, events, accepted)
                elif not _goes_on(key.data, step):
                    selector.unregister(key.data)
                    key.data.close()


def _goes_on(connection: socket.socket, step: Callable[[socket.socket], bool]) -> bool:
    try:
        return step(connection)
    except BlockingIOError:
        return True
    except OSError:
        return False


def _swallow(connection: socket.socket) -> bool:
    return bool(connection.recv(_BLOCK))


def _send(data: bytes) -> Callable[[socket.socket], bool]:
    return lambda connection: bool(connection.send(data))


def _reset(connection: socket.socket) -> bool:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    return False
