"""Transfers bytes between a sandbox and a server in both directions, within the scan's caps.

There are no stream objects and no buffers per connection: each readable event calls `recv_into`
with one buffer that all tunnels share, and sends from it. Only bytes that the receiver does not
accept at once are kept, and until they are sent the pipe reads no more. This is the back-pressure,
and it bounds the memory.
"""

import asyncio
import contextlib
import select
import socket
from collections.abc import Callable
from typing import Final

from worker.egress.gateway.traffic.accounting import Accounting, Entry
from worker.egress.gateway.traffic.client_hello_check import (
    HELLO_TIMEOUT_S,
    TLS_MALFORMED,
    TLS_TIMEOUT,
    ClientHelloCheck,
    ClientHelloRefusedError,
)
from worker.egress.gateway.traffic.rate_limit import RateLimit

#: About the size of a kernel socket buffer; larger reads save no time.
BUFFER_BYTES: Final = 256 * 1024
#: Bounds the work of one event: a TLS record may hold a single byte.
_HELLO_BYTES: Final = 16 * 1024


class Tunnel:
    """Two pipes between two sockets; the caller closes the sockets."""

    def __init__(  # noqa: PLR0913, PLR0917 - the two ends, and what limits them
        self,
        client: socket.socket,
        server: socket.socket,
        accounting: Accounting,
        entry: Entry,
        buffer: memoryview,
        check: ClientHelloCheck | None = None,
    ) -> None:
        """Take the connected, non-blocking sockets, the shared buffer, and the check for TLS."""
        self._entry = entry
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[str] = self._loop.create_future()
        self._open = 2
        self._outward = _Pipe(
            self,
            (client, server),
            buffer,
            (accounting.remaining_out, accounting.rate_out),
            lambda count: accounting.add_out(entry, count),
            ("", "reset"),
            check,
        )
        self._inward = _Pipe(
            self,
            (server, client),
            buffer,
            (accounting.remaining_in, accounting.rate_in),
            lambda count: accounting.add_in(entry, count),
            ("reset", ""),
        )

    async def carry(self, first: bytes) -> str:
        """Transfer in both directions, `first` from the client first; return the outcome."""
        try:
            self._inward.start(b"")
            self._outward.start(first)
            return await self._done
        finally:
            self.stop()

    async def carry_response(self) -> str:
        """Transfer from the server only, until it ends or `finish` is called."""
        self._open = 1
        try:
            self._inward.start(b"")
            return await self._done
        finally:
            self.stop()

    def refuse(self, rule: str) -> None:
        """End both directions because of the client's first bytes; none of them was sent."""
        self._entry.allowed, self._entry.rule = False, rule
        self.finish("")

    def finish(self, outcome: str) -> None:
        """End both directions; the first outcome counts."""
        if not self._done.done():
            self._done.set_result(outcome)
        self.stop()

    def stop(self) -> None:
        """Stop watching the sockets."""
        self._inward.stop()
        self._outward.stop()

    def end_one(self) -> None:
        """Note that one direction has ended; the tunnel ends when both have."""
        self._open -= 1
        if not self._open:
            self.finish("")


class _Pipe:
    """One direction: from the source to the sink."""

    __slots__ = (
        "_add",
        "_buffer",
        "_check",
        "_hello_timer",
        "_loop",
        "_outcomes",
        "_rate",
        "_rate_timer",
        "_remaining",
        "_rest",
        "_sink",
        "_sink_fd",
        "_source",
        "_source_fd",
        "_stopped",
        "_tunnel",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - called twice, above
        self,
        tunnel: Tunnel,
        ends: tuple[socket.socket, socket.socket],
        buffer: memoryview,
        limits: tuple[Callable[[], int], RateLimit],
        add: Callable[[int], None],
        outcomes: tuple[str, str],
        check: ClientHelloCheck | None = None,
    ) -> None:
        self._check = check
        self._hello_timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._tunnel = tunnel
        self._source, self._sink = ends
        # By descriptor: for an unregistered socket object the loop builds a long error message,
        # which costs time.
        self._source_fd, self._sink_fd = self._source.fileno(), self._sink.fileno()
        self._buffer = buffer
        #: The bytes that the cap still allows, and the rate limit.
        self._remaining, self._rate = limits
        self._rate_timer: asyncio.TimerHandle | None = None
        self._add = add
        #: The outcomes of an error of the source and of the sink. A sandbox may close when it has
        #: read enough; a server that closes early is an error.
        self._outcomes = outcomes
        self._rest = memoryview(b"")
        self._stopped = True

    def start(self, first: bytes) -> None:
        self._stopped = False
        self._loop.add_reader(self._source_fd, self._on_readable)
        if first:
            self._take(memoryview(first))

    def stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._stop_hello_timer()
            if self._rate_timer is not None:
                self._rate_timer.cancel()
            self._loop.remove_reader(self._source_fd)
            self._loop.remove_writer(self._sink_fd)

    def _on_readable(self) -> None:
        if not (available := self._rate.available()):
            self._loop.remove_reader(self._source_fd)
            self._rate_timer = self._loop.call_later(self._rate.wait_s(), self._resume)
            return
        try:
            # Reads one byte more than the cap allows: only exceeding the cap ends the tunnel.
            most = min(self._read_size(), available, self._remaining() + 1)
            count = self._source.recv_into(self._buffer, most)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._tunnel.finish(self._outcomes[0])
            return
        if count:
            self._rate.take(count)
            self._take(self._buffer[:count])
        else:
            self._end()

    def _resume(self) -> None:
        """Read again after the wait that the rate limit required."""
        self._rate_timer = None
        self._loop.add_reader(self._source_fd, self._on_readable)

    def _read_size(self) -> int:
        """Return how many bytes one event may read: fewer while a ClientHello is checked."""
        return len(self._buffer) if self._check is None else _HELLO_BYTES

    def _take(self, data: memoryview) -> None:
        if self._check is None:
            self._carry(data)
        elif passed := self._checked(self._check, data):
            self._carry(memoryview(passed))

    def _checked(self, check: ClientHelloCheck, data: memoryview) -> bytes:
        """Return the bytes that may be sent; drop the check when it has finished."""
        try:
            passed = check.take(bytes(data))
        except ClientHelloRefusedError as error:
            self._tunnel.refuse(error.rule)
            return b""
        if check.is_finished:
            self._check = None
        if not check.is_holding:
            self._stop_hello_timer()
        elif self._hello_timer is None:
            self._hello_timer = self._loop.call_later(
                HELLO_TIMEOUT_S, self._tunnel.refuse, TLS_TIMEOUT
            )
        return passed

    def _stop_hello_timer(self) -> None:
        if self._hello_timer is not None:
            self._hello_timer.cancel()
            self._hello_timer = None

    def _carry(self, data: memoryview) -> None:
        if len(data) > self._remaining():
            self._tunnel.finish("cap_bytes")
            return
        self._add(len(data))
        sent = self._send(data)
        if sent < len(data) and not self._stopped:
            self._rest = memoryview(bytes(data[sent:]))
            self._loop.remove_reader(self._source_fd)
            self._loop.add_writer(self._sink_fd, self._on_writable)

    def _on_writable(self) -> None:
        self._rest = self._rest[self._send(self._rest) :]
        if not self._rest and not self._stopped:
            self._rest = memoryview(b"")
            self._loop.remove_writer(self._sink_fd)
            self._loop.add_reader(self._source_fd, self._on_readable)

    def _send(self, data: memoryview) -> int:
        try:
            return self._sink.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self._tunnel.finish(self._outcomes[1])
            return 0

    def _end(self) -> None:
        if self._check is not None and self._check.is_holding:
            self._tunnel.refuse(TLS_MALFORMED)
            return
        self._loop.remove_reader(self._source_fd)
        if self._source.family == socket.AF_UNIX and has_hung_up(self._source):
            # The client closed fully, so nobody reads what the server still sends.
            self._tunnel.finish("")
            return
        with contextlib.suppress(OSError):
            self._sink.shutdown(socket.SHUT_WR)
        self._tunnel.end_one()


def has_hung_up(connection: socket.socket) -> bool:
    """Return True if the peer of a unix socket at end-of-file closed it fully, not half."""
    poll = select.poll()
    poll.register(connection, 0)
    return bool(poll.poll(0))
