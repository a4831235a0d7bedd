"""Carries bytes between a sandbox and a server, both ways, under the scan's caps.

No stream objects and no buffers per connection: readiness calls `recv_into` one buffer that all
tunnels share and `send` from it. Only what the other side does not take at once is kept, and
until it is gone nothing more is read: that is all the back-pressure there is, and all the memory.
"""

import asyncio
import contextlib
import select
import socket
from collections.abc import Callable
from typing import Final

from worker.egress.gateway.traffic.accounting import Entry, Ledger
from worker.egress.gateway.traffic.client_hello_check import (
    HELLO_TIMEOUT_S,
    TLS_MALFORMED,
    TLS_TIMEOUT,
    GateError,
    HelloGate,
)
from worker.egress.gateway.traffic.pace import Pace

#: Big enough that the copies cost more than the calls; a kernel's socket buffer holds about it.
BUFFER_BYTES: Final = 256 * 1024
#: Records of one byte take a few microseconds each to read.
_HELLO_BYTES: Final = 16 * 1024


class Tunnel:
    """Two pipes between two sockets, neither of which it closes; the caller does."""

    def __init__(  # noqa: PLR0913, PLR0917 - what is carried, and what it goes by
        self,
        client: socket.socket,
        server: socket.socket,
        ledger: Ledger,
        entry: Entry,
        buffer: memoryview,
        gate: HelloGate | None = None,
    ) -> None:
        """Take the connected, non-blocking sockets, the buffer to share, and who judges TLS."""
        self._entry = entry
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[str] = self._loop.create_future()
        self._open = 2
        self._outward = _Pipe(
            self,
            (client, server),
            buffer,
            (ledger.left_out, ledger.pace_out),
            lambda count: ledger.spend_out(entry, count),
            ("", "reset"),
            gate,
        )
        self._inward = _Pipe(
            self,
            (server, client),
            buffer,
            (ledger.left_in, ledger.pace_in),
            lambda count: ledger.spend_in(entry, count),
            ("reset", ""),
        )

    async def carry(self, first: bytes) -> str:
        """Carry both ways, these bytes of the client's first; return why it was cut, or nothing."""
        try:
            self._inward.start(b"")
            self._outward.start(first)
            return await self._done
        finally:
            self.stop()

    async def carry_answer(self) -> str:
        """Carry inwards only, till the server ends or `finish` is called."""
        self._open = 1
        try:
            self._inward.start(b"")
            return await self._done
        finally:
            self.stop()

    def refuse(self, rule: str) -> None:
        """End both ways because of what the client wants to say, of which nothing was sent."""
        self._entry.allowed, self._entry.rule = False, rule
        self.finish("")

    def finish(self, outcome: str) -> None:
        """End both ways; the first outcome counts."""
        if not self._done.done():
            self._done.set_result(outcome)
        self.stop()

    def stop(self) -> None:
        """Watch the sockets no more."""
        self._inward.stop()
        self._outward.stop()

    def end_one(self) -> None:
        """Note that one way has ended in order; both must, since a half-closed one may talk on."""
        self._open -= 1
        if not self._open:
            self.finish("")


class _Pipe:
    """One way: from the source to the sink."""

    __slots__ = (
        "_buffer",
        "_gate",
        "_hello_clock",
        "_left",
        "_loop",
        "_outcomes",
        "_pace",
        "_pace_clock",
        "_rest",
        "_sink",
        "_sink_fd",
        "_source",
        "_source_fd",
        "_spend",
        "_stopped",
        "_tunnel",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - called twice, just above
        self,
        tunnel: Tunnel,
        ends: tuple[socket.socket, socket.socket],
        buffer: memoryview,
        limits: tuple[Callable[[], int], Pace],
        spend: Callable[[int], None],
        outcomes: tuple[str, str],
        gate: HelloGate | None = None,
    ) -> None:
        self._gate = gate
        self._hello_clock: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._tunnel = tunnel
        self._source, self._sink = ends
        # The loop's table is asked by descriptor: a socket that is not in it would be described
        # at length in an error that nobody reads.
        self._source_fd, self._sink_fd = self._source.fileno(), self._sink.fileno()
        self._buffer = buffer
        #: How much may still be carried at all, and how much of it now.
        self._left, self._pace = limits
        self._pace_clock: asyncio.TimerHandle | None = None
        self._spend = spend
        #: The outcome when the source breaks, and when the sink does. That a sandbox closes once
        #: it has read enough is the ordinary end; that a server does is not.
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
            self._stop_hello_clock()
            if self._pace_clock is not None:
                self._pace_clock.cancel()
            self._loop.remove_reader(self._source_fd)
            self._loop.remove_writer(self._sink_fd)

    def _on_readable(self) -> None:
        if not (most := self._pace.most()):
            self._loop.remove_reader(self._source_fd)
            self._pace_clock = self._loop.call_later(self._pace.wait_s(), self._go_on)
            return
        try:
            # One more than is left, so that a cap is met by those who exceed it, not reach it.
            count = self._source.recv_into(self._buffer, min(self._most(), most, self._left() + 1))
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._tunnel.finish(self._outcomes[0])
            return
        if count:
            self._pace.spend(count)
            self._take(self._buffer[:count])
        else:
            self._end()

    def _go_on(self) -> None:
        """Read again after a wait that the pace asked for; cancelled where the pipe stops."""
        self._pace_clock = None
        self._loop.add_reader(self._source_fd, self._on_readable)

    def _most(self) -> int:
        """Return how much is read at a time: a ClientHello is parsed in small steps."""
        return len(self._buffer) if self._gate is None else _HELLO_BYTES

    def _take(self, data: memoryview) -> None:
        if self._gate is None:
            self._carry(data)
        elif judged := self._judged(self._gate, data):
            self._carry(memoryview(judged))

    def _judged(self, gate: HelloGate, data: memoryview) -> bytes:
        """Return what may go on; no more is judged once nothing can name a host any more."""
        try:
            judged = gate.take(bytes(data))
        except GateError as error:
            self._tunnel.refuse(error.rule)
            return b""
        if gate.is_open:
            self._gate = None
        if not gate.is_holding:
            self._stop_hello_clock()
        elif self._hello_clock is None:
            self._hello_clock = self._loop.call_later(
                HELLO_TIMEOUT_S, self._tunnel.refuse, TLS_TIMEOUT
            )
        return judged

    def _stop_hello_clock(self) -> None:
        if self._hello_clock is not None:
            self._hello_clock.cancel()
            self._hello_clock = None

    def _carry(self, data: memoryview) -> None:
        if len(data) > self._left():
            self._tunnel.finish("cap_bytes")
            return
        self._spend(len(data))
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
        if self._gate is not None and self._gate.is_holding:
            self._tunnel.refuse(TLS_MALFORMED)
            return
        self._loop.remove_reader(self._source_fd)
        if self._source.family == socket.AF_UNIX and has_hung_up(self._source):
            # Not half-closed but gone: whatever the server still sends, nobody reads it.
            self._tunnel.finish("")
            return
        with contextlib.suppress(OSError):
            self._sink.shutdown(socket.SHUT_WR)
        self._tunnel.end_one()


def has_hung_up(connection: socket.socket) -> bool:
    """Tell whether the peer of a unix socket, whose end was read, is gone rather than silent."""
    poll = select.poll()
    poll.register(connection, 0)
    return bool(poll.poll(0))
