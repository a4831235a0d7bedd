"""Bytes are split into HTTP/2 frames, independent of packet sizes."""

import pytest
from h2.exceptions import FrameTooLargeError
from hypothesis import given
from hypothesis import strategies as st

from fetcher.http.http2_frames import GOAWAY, Frame, Frames

_FRAMES = st.tuples(st.binary(min_size=6, max_size=6), st.binary(max_size=50)).map(
    lambda parts: len(parts[1]).to_bytes(3, "big") + parts[0] + parts[1]
)


@given(st.lists(_FRAMES), st.binary(max_size=8))
def test_any_split_gives_the_same_frames(frames: list[bytes], rest: bytes) -> None:
    """In one piece or byte by byte; an incomplete frame is not returned."""
    data = b"".join(frames) + rest[:2]
    assert [frame.wire for frame in Frames().feed(data)] == frames
    reader = Frames()
    bytewise = [x.wire for n in range(len(data)) for x in reader.feed(data[n : n + 1])]
    assert bytewise == frames


def test_the_frame_before_one_that_is_too_large_is_returned() -> None:
    """The frame before the one that is too large is complete."""
    reader = Frames().feed(b"\0\0\0\4\0\0\0\0\0" + b"\0\x40\1\0\0\0\0\0\1")
    assert next(reader).kind == 4
    with pytest.raises(FrameTooLargeError):
        next(reader)


def test_a_goaway_has_a_last_stream_and_an_error() -> None:
    """A GOAWAY that is too short has no stream and no error."""
    frame = Frame(b"\0\0\x08\7\0\0\0\0\0\x80\0\0\5\0\0\0\x0d")
    assert (frame.kind, frame.last_stream, frame.error) == (GOAWAY, 5, 13)
    assert (Frame(b"\0\0\0\7\0\0\0\0\0").last_stream, frame.wire[0]) == (0, 0)
