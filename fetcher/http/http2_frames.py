"""The frames of HTTP/2 (RFC 9113, 4.1), one at a time, however their bytes are split.

The library takes any bytes, but gives nothing of a piece in which it finds a fault.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from h2.exceptions import FrameTooLargeError

#: What we have allowed a server: the least that the standard knows.
_MAX_PAYLOAD_BYTES = 16384
_HEAD_BYTES = 9
GOAWAY = 7


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame."""

    wire: bytes

    @property
    def kind(self) -> int:
        """Return the frame's type."""
        return self.wire[3]

    @property
    def last_stream(self) -> int:
        """Return the last stream that the sender of a GOAWAY answers; 0 where it is cut short."""
        return int.from_bytes(self.wire[_HEAD_BYTES : _HEAD_BYTES + 4], "big") & 0x7FFF_FFFF

    @property
    def error(self) -> int:
        """Return why the sender of a GOAWAY goes."""
        return int.from_bytes(self.wire[_HEAD_BYTES + 4 : _HEAD_BYTES + 8], "big")


class Frames:
    """Cuts bytes into frames."""

    def __init__(self) -> None:
        """Begin with no bytes."""
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are whole by now; raise `FrameTooLargeError` at one too large."""
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
