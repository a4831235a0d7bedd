"""The frames of an attached stream are split in the same way for every division of the bytes."""

import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.sandbox.frames import FrameError, FrameReader, Stream

Frames = list[tuple[Stream, bytes]]

_frames = st.lists(st.tuples(st.sampled_from(Stream), st.binary(max_size=40)), max_size=12)


def encode(stream: int, payload: bytes) -> bytes:
    """Return one frame in Docker's format."""
    return struct.pack(">BxxxI", stream, len(payload)) + payload


def joined(pieces: Frames) -> dict[Stream, bytes]:
    """Return the bytes of each stream."""
    whole: dict[Stream, bytes] = {}
    for stream, piece in pieces:
        whole[stream] = whole.get(stream, b"") + piece
    return whole


@given(_frames, st.lists(st.integers(min_value=1, max_value=17), max_size=60))
def test_any_cut_gives_the_same_payload(frames: Frames, cuts: list[int]) -> None:
    """Frames may arrive in pieces of any size, also divided inside a header."""
    wire = b"".join(encode(stream, payload) for stream, payload in frames)
    reader = FrameReader()
    pieces: Frames = []
    at = 0
    for size in [*cuts, len(wire)]:
        pieces += reader.feed(wire[at : at + size])
        at += size
    assert joined(pieces) == joined([frame for frame in frames if frame[1]])


def test_a_huge_frame_is_passed_on_piece_by_piece() -> None:
    """A frame that announces 4 GiB needs only the memory of the present piece."""
    reader = FrameReader()
    list(reader.feed(struct.pack(">BxxxI", 1, 2**32 - 1)))
    block = bytes(64 * 1024)
    tracemalloc.start()
    got = sum(len(piece) for _ in range(256) for _, piece in reader.feed(block))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert got == 256 * len(block)
    assert peak < 8 * len(block)


@pytest.mark.parametrize("wire", [b"hello, I am a TTY", b"\x01\x00\x00\x01\x00\x00\x00\x00"])
def test_what_is_not_framing_is_refused(wire: bytes) -> None:
    """Raw bytes, as a TTY sends them, are an error and never taken for output."""
    with pytest.raises(FrameError):
        list(FrameReader().feed(wire))
