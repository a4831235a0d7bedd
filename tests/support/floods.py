"""What one sandbox can do to keep its gateway busy: each way is endless, in a process of its own.

A flood gets the sandbox's folder and the ports of `HostileServer`, and counts what it does.
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

#: Told of every step that a flood has made.
Count = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the hostile servers listen."""

    #: Reads all and says nothing.
    sink: int
    #: Sends without end, whatever it is asked; the second one byte at a time.
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
    """Send a chunked request whose body goes on for ever, on some connections by turns."""
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
    """Send chunks whose extensions are far longer than what they hold."""
    _post(directory, ports, count, (b"1;x=" + b"y" * 4_000 + b"\r\na\r\n") * 20)


def trailers(directory: Path, ports: Ports, count: Count) -> None:
    """End each body with as many trailers as fit."""
    head = f"POST http://{_where(ports.sink)}/ HTTP/1.1\r\nHost: x\r\n"
    more = b"".join(b"A%d: b\r\n" % number for number in range(2_000))
    while True:
        with contextlib.suppress(OSError), connect(directory) as connection:
            connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            connection.sendall(b"0\r\n" + more)
            count()


def tiny_records(directory: Path, ports: Ports, count: Count) -> None:
    """Send handshake records of one byte: a ClientHello that never comes to its end."""
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
    """Connect and leave, as fast as it goes."""
    while True:
        with contextlib.suppress(OSError), connect(directory):
            count()


def half_open(directory: Path, ports: Ports, count: Count) -> None:
    """Hold as many connections as are let in, each with half a head; open others for those cut."""
    held: list[socket.socket] = []
    while True:
        with contextlib.suppress(OSError):
            held.append(connect(directory))
            held[-1].sendall(f"CONNECT {_where(ports.sink)} HTTP/1.1\r\nHost:".encode())
        if len(held) > 4 * _CONNECTIONS:
            held.pop(0).close()
        count()


def slow_read(directory: Path, ports: Ports, count: Count) -> None:
    """Read what never ends byte by byte, on many connections."""
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
    """Open tunnels to a server that resets them, and leave what was sent unread."""
    while True:
        with contextlib.suppress(OSError), _tunnel(directory, ports.reset) as connection:
            connection.sendall(b"a" * _BLOCK)
            count()


def pipelining(directory: Path, ports: Ports, count: Count) -> None:
    """Send many requests on a connection, the answers to which nobody reads."""
    request = f"GET http://{_where(ports.sink)}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    while True:
        with contextlib.suppress(OSError), connect(directory) as connection:
            connection.sendall(request * 1_000)
            count()


def names(directory: Path, _: Ports, count: Count) -> None:
    """Ask for names without end, each another one."""
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
    """Ask a server that answers with nothing but interim answers."""
    request = f"GET http://{_where(ports.early)}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    _drain(directory, request, count)


def server_flood(directory: Path, ports: Ports, count: Count) -> None:
    """Read all that a server sends as fast as it can, on many connections."""
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


#: The ten ways that are named most, and their siblings.
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
    """A flood's process, which can rest and go on."""

    process: Any  # multiprocessing names the class of a context's processes privately
    _done: Any  # the same

    def rest(self) -> None:
        """Stop it where it is."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on, and return once it does."""
        before = self._done.value
        os.kill(self.process.pid, signal.SIGCONT)
        until(lambda: self._done.value != before)


@contextmanager
def flooding(flood: Flood, directory: Path, ports: Ports) -> Iterator[Running]:
    """Run a flood in a process of its own; it rests until it is told to go on."""
    done = _FORK.Value("Q", 0, lock=False)

    def run() -> None:
        # A sandbox has a capped share of the processors: it is the gateway that is tried here, not
        # what two processes that want all of a machine do to a third.
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
    """Run the servers that floods need in a process of their own."""
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
    """Accept, and make a step on each connection that is ready until it is over."""
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
