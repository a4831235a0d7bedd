"""Splits the multiplexed stream of a container that is attached without a TTY.

Docker sends frames: one byte for the stream, three zero bytes, four bytes of length (big
endian), then the payload. https://docs.docker.com/reference/api/engine/ (ContainerAttach)
"""

import struct
from collections.abc import Iterator
from enum import IntEnum

_HEADER = struct.Struct(">B3sI")
_ZEROES = bytes(3)


class Stream(IntEnum):
    """The container's stream that a payload belongs to."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2


class FrameError(ValueError):
    """The bytes are not in Docker's format: the container has a TTY, or the peer is not Docker."""


class FrameReader:
    """Splits bytes into payloads; holds at most one incomplete header.

    A payload is passed on in pieces as it arrives, so the announced length of a frame does not
    determine how much memory is used.
    """

    def __init__(self) -> None:
        """Start before the first frame."""
        self._header = bytearray()
        self._stream = Stream.STDOUT
        self._left = 0

    @property
    def is_between_frames(self) -> bool:
        """Whether all that was fed were whole frames."""
        return not self._left and not self._header

    def feed(self, data: bytes) -> Iterator[tuple[Stream, bytes]]:
        """Yield each non-empty piece of payload with its stream."""
        view = memoryview(data)
        while view:
            if self._left:
                piece = bytes(view[: self._left])
                self._left -= len(piece)
                view = view[len(piece) :]
                yield self._stream, piece
            else:
                missing = _HEADER.size - len(self._header)
                self._header += view[:missing]
                view = view[missing:]
                self._open_frame()

    def _open_frame(self) -> None:
        if len(self._header) < _HEADER.size:
            return
        kind, zeroes, self._left = _HEADER.unpack(self._header)
        self._header.clear()
        if kind > Stream.STDERR or zeroes != _ZEROES:
            raise FrameError("The attached stream is not Docker's multiplexed format.")
        self._stream = Stream(kind)
