"""Talking with an attached container: the request goes in, stdout comes out, until an end is due.

Reading and writing take turns on one socket that never blocks, so that a container that does
not read its stdin cannot keep us from reading its stdout, and each turn looks at the clock.
"""

import select
import socket
import time
from collections.abc import Callable

from safeurl.ports.sandbox import Sink, Stop
from worker.sandbox.frames import FrameReader, Stream
from worker.sandbox.memory import MemoryWatch, NoWatch

#: How soon a cancelled conversation notices.
SLICE_S = 0.25
_RECV_BYTES = 64 * 1024
_STDERR_TAIL_BYTES = 4096


class AttachSession:
    """One exchange with a container; for one thread."""

    def __init__(
        self,
        attached: socket.socket,
        request: bytes,
        sink: Sink,
        memory: MemoryWatch | None = None,
    ) -> None:
        """Take over the socket's mode; closing it stays the caller's.

        News of `memory` is looked at as it comes: what a cgroup tells can go with the cgroup.
        """
        attached.settimeout(0)
        self._socket = attached
        self._unsent = memoryview(request)
        self._sink = sink
        self._memory = memory or NoWatch()
        self._frames = FrameReader()
        self._stderr = bytearray()
        self._ended = False

    @property
    def stderr_tail(self) -> str:
        """The last 4 KiB of stderr, undecodable bytes replaced."""
        return self._stderr.decode(errors="replace")

    def hold(self, until: float, is_cancelled: Callable[[], bool]) -> Stop | None:
        """Talk until the container's side ends (None), the sink refuses, or `until` has come.

        `until` is on the monotonic clock. Also returns None when cancelled.
        """
        while not self._ended and not is_cancelled():
            left_s = until - time.monotonic()
            if left_s <= 0:
                return Stop.DEADLINE
            if not self._turn(min(left_s, SLICE_S)):
                return Stop.SINK
        return None

    def _turn(self, timeout_s: float) -> bool:
        """Send and receive what is ready; False when the sink wants no more."""
        wanted = select.POLLIN | (select.POLLOUT if self._unsent else 0)
        poll = select.poll()
        poll.register(self._socket, wanted)
        self._memory.register(poll)
        woken = dict(poll.poll(timeout_s * 1000))
        ready = woken.pop(self._socket.fileno(), 0)
        if woken:
            self._memory.look()
        if self._unsent and ready & select.POLLOUT:
            self._send()
        if ready & ~select.POLLOUT:
            return self._take(self._receive())
        return True

    def _send(self) -> None:
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
            if not self._unsent:
                self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            # The container has ended without reading; what it said is still to be read.
            self._unsent = memoryview(b"")

    def _receive(self) -> bytes:
        try:
            data = self._socket.recv(_RECV_BYTES)
        except BlockingIOError:
            return b""
        except ConnectionError:
            # The engine went away; the call that follows finds out and says so.
            data = b""
        self._ended = not data
        return data

    def _take(self, data: bytes) -> bool:
        for stream, piece in self._frames.feed(data):
            if stream is Stream.STDERR:
                self._stderr += piece
                del self._stderr[:-_STDERR_TAIL_BYTES]
            elif not self._sink(piece):
                return False
        return True
