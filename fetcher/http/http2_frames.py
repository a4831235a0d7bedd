"""Splits bytes into HTTP/2 frames (RFC 9113, 4.1), independent of packet sizes.

The library accepts any bytes, but returns no events for a piece in which it finds an error. With
one frame at a time the frames before the error are kept.
"""

from collections.abc import Iterator

from h2.exceptions import FrameTooLargeError
from msgspec import Struct

#: The maximum payload that we allow the server; it is the minimum of the standard.
_MAX_PAYLOAD_BYTES = 16384
_HEAD_BYTES = 9
GOAWAY = 7


class Frame(Struct, frozen=True):
    """One complete frame."""

    wire: bytes

    @property
    def kind(self) -> int:
        """The frame's type."""
        return self.wire[3]

    @property
    def last_stream(self) -> int:
        """The last stream that the sender of a GOAWAY processes; 0 if the frame is too short."""
        return int.from_bytes(self.wire[_HEAD_BYTES : _HEAD_BYTES + 4], "big") & 0x7FFF_FFFF

    @property
    def error(self) -> int:
        """The error code of a GOAWAY."""
        return int.from_bytes(self.wire[_HEAD_BYTES + 4 : _HEAD_BYTES + 8], "big")


class Frames:
    """Splits bytes into frames."""

    def __init__(self) -> None:
        """Start without any bytes."""
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the complete frames; raise `FrameTooLargeError` at one that is too large."""
        self._data += data
        while len(self._data) >= _HEAD_BYTES:
            size = int.from_bytes(self._data[:3], "big")
            if size > _MAX_PAYLOAD_BYTES:
                raise FrameTooLargeError(f"a frame of {size:,} bytes")
            end = _HEAD_BYTES + size
            if len(self._data) < end:
                return
            frame = Frame(bytes(self._data[:end]))
            del self._data[:end]
            yield frame
