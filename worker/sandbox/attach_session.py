"""Exchanges bytes with an attached container: sends the request, receives stdout and stderr.

Reads and writes alternate on one non-blocking socket. So a container that does not read its stdin
cannot prevent the worker from reading its stdout. Each turn checks the deadline.
"""

import select
import socket
import time
from collections.abc import Callable

from safeurl.model.sandbox import SinkResult, Stop
from safeurl.ports.sandbox import Sink
from worker.sandbox.frames import FrameReader, Stream
from worker.sandbox.memory import MemoryWatch, NoMemoryWatch

#: The longest time until a cancelled session notices.
SLICE_S = 0.25
_RECV_BYTES = 64 * 1024
_STDERR_TAIL_BYTES = 4096
#: How often memory and CPU time are read at most while output comes: two files, some 30 us.
_USAGE_S = 0.02


class AttachSession:
    """One session with a container; for one thread."""

    def __init__(
        self,
        attached: socket.socket,
        request: bytes,
        sink: Sink,
        memory: MemoryWatch | None = None,
    ) -> None:
        """Make the socket non-blocking; the caller closes it.

        The session reads `memory` at each of its events, and when output comes: the counters of a
        cgroup disappear with the cgroup.
        """
        attached.settimeout(0)
        self._socket = attached
        self._unsent = memoryview(request)
        self._sink = sink
        self._memory = memory or NoMemoryWatch()
        self._frames = FrameReader()
        self._stderr = bytearray()
        self._ended = False
        self._usage_at_s = 0.0
        #: True once the sink has enough: the output is complete.
        self.is_complete = False

    @property
    def stderr_tail(self) -> str:
        """The last 4 KiB of stderr, undecodable bytes replaced."""
        return self._stderr.decode(errors="replace")

    def run(self, until: float, is_cancelled: Callable[[], bool]) -> Stop | None:
        """Exchange until the sink has enough or refuses, the output ends, or `until`.

        `until` is a time of the monotonic clock. Returns None for a sink that has enough, for an
        output that has ended, and if it was cancelled.
        """
        while not (self._ended or self.is_complete or is_cancelled()):
            left_s = until - time.monotonic()
            if left_s <= 0:
                return Stop.DEADLINE
            if not self._turn(min(left_s, SLICE_S)):
                return Stop.SINK
        return None

    def _turn(self, timeout_s: float) -> bool:
        """Send and receive what is ready; return False if the sink refuses more."""
        wanted = select.POLLIN | (select.POLLOUT if self._unsent else 0)
        poll = select.poll()
        poll.register(self._socket, wanted)
        self._memory.register(poll)
        events = dict(poll.poll(timeout_s * 1000))
        ready = events.pop(self._socket.fileno(), 0)
        if events:
            self._memory.read()
        if self._unsent and ready & select.POLLOUT:
            self._send()
        if ready & ~select.POLLOUT:
            self._read_usage()
            return self._deliver(self._receive())
        return True

    def _read_usage(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._usage_at_s:
            self._usage_at_s = now_s + _USAGE_S
            self._memory.usage()

    def _send(self) -> None:
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
            if not self._unsent:
                self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            # The container ended without reading its stdin; its output is still to be read.
            self._unsent = memoryview(b"")

    def _receive(self) -> bytes:
        try:
            data = self._socket.recv(_RECV_BYTES)
        except BlockingIOError:
            return b""
        except ConnectionError:
            # The engine closed the connection; the next call to it reports why.
            data = b""
        self._ended = not data
        return data

    def _deliver(self, data: bytes) -> bool:
        """Pass on all that one read brought, also what follows the end of a complete output."""
        for stream, piece in self._frames.feed(data):
            if stream is Stream.STDERR:
                self._stderr += piece
                del self._stderr[:-_STDERR_TAIL_BYTES]
            else:
                result = self._sink(piece)
                if result is SinkResult.REFUSED:
                    self.is_complete = False
                    return False
                self.is_complete = result is SinkResult.ENOUGH
        return True
