"""A session with a container over a real socket pair, with a peer that misbehaves."""

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from safeurl.model.sandbox import SinkResult, Stop
from safeurl.ports.sandbox import Sink
from worker.attempt.classify import MemoryFacts
from worker.sandbox.attach_session import AttachSession
from worker.sandbox.frames import FrameError
from worker.sandbox.memory import Usage

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Our end and the engine's end of an attached stream."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def frame(stream: int, payload: bytes) -> bytes:
    """Return one frame in Docker's format."""
    return struct.pack(">BxxxI", stream, len(payload)) + payload


def soon() -> float:
    """Return a deadline that only a hanging test reaches."""
    return time.monotonic() + 10


def never() -> bool:
    """Return False, because nothing is cancelled."""
    return False


def collector(got: list[bytes]) -> Sink:
    """Return a sink that accepts everything."""

    def sink(piece: bytes) -> SinkResult:
        got.append(piece)
        return SinkResult.MORE

    return sink


def in_thread(work: Callable[[], None]) -> threading.Thread:
    """Start the peer."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_request_goes_in_and_stdout_comes_out(pair: Pair) -> None:
    """The peer receives the request and end-of-file on stdin; the sink gets stdout in order."""
    ours, theirs = pair
    got: list[bytes] = []
    seen: list[bytes] = []

    def peer() -> None:
        with theirs.makefile("rb") as stdin:
            seen.append(stdin.read())
        theirs.sendall(frame(1, b"one ") + frame(2, b"warning") + frame(1, b"two"))
        theirs.shutdown(socket.SHUT_RDWR)

    thread = in_thread(peer)
    talk = AttachSession(ours, b"request\n", collector(got))
    assert talk.run(soon(), never) is None
    thread.join()
    assert (b"".join(seen), b"".join(got), talk.stderr_tail) == (
        b"request\n",
        b"one two",
        "warning",
    )


def test_a_peer_that_never_reads_is_still_heard(pair: Pair) -> None:
    """A request larger than every buffer does not prevent the session from reading stdout."""
    ours, theirs = pair
    got: list[bytes] = []
    theirs.sendall(frame(1, b"deaf"))
    theirs.shutdown(socket.SHUT_WR)
    talk = AttachSession(ours, bytes(8 * 1024 * 1024), collector(got))
    assert talk.run(soon(), never) is None
    assert got == [b"deaf"]


def test_a_silent_peer_meets_the_deadline(pair: Pair) -> None:
    """A silent container ends at the deadline."""
    talk = AttachSession(pair[0], b"", collector([]))
    assert talk.run(time.monotonic() + 0.1, never) is Stop.DEADLINE


def test_a_chattering_peer_meets_the_deadline(pair: Pair) -> None:
    """A container with endless output ends at the deadline."""
    ours, theirs = pair
    hushed = threading.Event()

    def peer() -> None:
        theirs.settimeout(0.05)
        while not hushed.is_set():
            try:
                theirs.send(frame(1, b"blah" * 100))
            except TimeoutError:
                continue

    thread = in_thread(peer)
    talk = AttachSession(ours, b"", collector([]))
    stopped = talk.run(time.monotonic() + 0.3, never)
    hushed.set()
    thread.join()
    assert stopped is Stop.DEADLINE


def test_the_sink_ends_the_conversation(pair: Pair) -> None:
    """After the sink refuses, it gets nothing more."""
    ours, theirs = pair
    got: list[bytes] = []

    def sink(piece: bytes) -> SinkResult:
        got.append(piece)
        return SinkResult.MORE if len(got) < 2 else SinkResult.REFUSED

    theirs.sendall(frame(1, b"a") + frame(1, b"b") + frame(1, b"c"))
    assert AttachSession(ours, b"", sink).run(soon(), never) is Stop.SINK
    assert got == [b"a", b"b"]


def test_a_complete_output_ends_the_conversation(pair: Pair) -> None:
    """The session returns while the container still runs, and reads nothing more."""
    ours, theirs = pair
    got: list[bytes] = []

    def sink(piece: bytes) -> SinkResult:
        got.append(piece)
        if piece == b"report":
            theirs.sendall(frame(1, b"later"))
        return SinkResult.ENOUGH if piece == b"report" else SinkResult.MORE

    theirs.sendall(frame(1, b"evidence") + frame(2, b"warning") + frame(1, b"report"))
    talk = AttachSession(ours, b"", sink)
    assert talk.run(soon(), never) is None
    assert (talk.is_complete, got) == (True, [b"evidence", b"report"])


def test_what_came_with_the_end_of_a_complete_output_counts(pair: Pair) -> None:
    """One read may bring more than the report; the sink is given all of it and may refuse."""
    ours, theirs = pair
    results = iter([SinkResult.ENOUGH, SinkResult.REFUSED])
    theirs.sendall(frame(1, b"report") + frame(1, b"more"))
    talk = AttachSession(ours, b"", lambda _: next(results))
    assert talk.run(soon(), never) is Stop.SINK
    assert not talk.is_complete


def test_an_output_that_only_ends_is_not_complete(pair: Pair) -> None:
    """The sink has to say that it has enough."""
    ours, theirs = pair
    theirs.sendall(frame(1, b"evidence"))
    theirs.shutdown(socket.SHUT_WR)
    talk = AttachSession(ours, b"", collector([]))
    assert talk.run(soon(), never) is None
    assert not talk.is_complete


def test_cancelling_ends_the_conversation(pair: Pair) -> None:
    """A cancelled session returns well before its deadline, without a reason."""
    cancelled = threading.Event()
    timer = threading.Timer(0.1, cancelled.set)
    timer.start()
    assert AttachSession(pair[0], b"", collector([])).run(soon(), cancelled.is_set) is None
    timer.join()


def test_only_the_tail_of_stderr_is_kept(pair: Pair) -> None:
    """The last 4 KiB of stderr are stored, also if they are not text."""
    ours, theirs = pair
    theirs.sendall(frame(2, b"x" * 9000 + b"\xff\xfe end"))
    theirs.shutdown(socket.SHUT_WR)
    talk = AttachSession(ours, b"", collector([]))
    talk.run(soon(), never)
    assert talk.stderr_tail.endswith("x\ufffd\ufffd end")
    assert len(talk.stderr_tail) == 4096


def test_a_tty_stream_is_refused(pair: Pair) -> None:
    """Bytes without frames never reach the sink."""
    ours, theirs = pair
    theirs.sendall(b"not framed at all")
    with pytest.raises(FrameError):
        AttachSession(ours, b"", collector([])).run(soon(), never)


class Watched:
    """A watch of memory that wakes when its descriptor is written to."""

    def __init__(self, event_fd: int) -> None:
        """Store the descriptor."""
        self._event_fd = event_fd
        self.looked = threading.Event()

    def register(self, poll: select.poll) -> None:
        """Register the descriptor."""
        poll.register(self._event_fd, select.POLLIN)

    def read(self) -> MemoryFacts:
        """Read from the descriptor."""
        os.eventfd_read(self._event_fd)
        self.looked.set()
        return MemoryFacts()

    def usage(self) -> Usage:
        """Know nothing."""
        return Usage()


def test_news_of_memory_is_looked_at_while_the_container_still_talks(pair: Pair) -> None:
    """The counters of a cgroup may disappear with it, so they are read before the stream ends."""
    ours, theirs = pair
    event_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    memory = Watched(event_fd)
    noticed: list[bool] = []

    def peer() -> None:
        os.eventfd_write(event_fd, 1)
        noticed.append(memory.looked.wait(10))
        theirs.close()

    try:
        thread = in_thread(peer)
        assert AttachSession(ours, b"", collector([]), memory).run(soon(), never) is None
        thread.join()
    finally:
        os.close(event_fd)
    assert noticed == [True]
