"""gzip and deflate as browsers unpack them (RFC 1950, 1951, 1952).

Chromium reads the first gzip member alone and compares no check sum, so that a fault at the very
end costs nothing.
"""

import zlib
from typing import Protocol

_PIECE_BYTES = 64 * 1024
_MAGIC = b"\x1f\x8b\x08"
#: Magic, flags, time, extra flags, system.
_HEADER_BYTES = 10
_EXTRA, _NAME, _COMMENT, _CHECKED, _RESERVED = 0x04, 0x08, 0x10, 0x02, 0xE0
_TRAILER_BYTES = 8
_MAX_WINDOW = 7


class CorruptBodyError(Exception):
    """The body is not what its Content-Encoding says."""


class Source(Protocol):
    """Gives bytes when asked; none at its end."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes."""


class _Input:
    """A source that is read by parts of known length."""

    def __init__(self, inner: Source) -> None:
        self._inner = inner
        #: What was read and not taken yet.
        self.rest = b""

    def some(self) -> bytes:
        """Return what is at hand, or the next piece."""
        data, self.rest = self.rest or self._inner.read(_PIECE_BYTES), b""
        return data

    def take(self, size: int) -> bytes:
        """Return so many bytes, fewer at the end."""
        parts = []
        while size and (data := self.some()):
            part, self.rest = data[:size], data[size:]
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def skip_text(self) -> None:
        """Take all up to the next NUL, and it too."""
        while data := self.some():
            position = data.find(b"\0")
            if position >= 0:
                self.rest = data[position + 1 :]
                return


class _Inflate:
    """Unpacks one deflate stream, after what comes before it and before what comes after it."""

    def __init__(self, inner: Source, notes: list[str]) -> None:
        self._input = _Input(inner)
        self._notes = notes
        self._stream: zlib._Decompress | None = None
        self._is_full = False
        self._is_ended = False

    def read(self, size: int = _PIECE_BYTES, /) -> bytes:
        if self._stream is None:
            self._begin()
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        while not self._is_ended:
            if self._stream.eof:
                self._is_ended = True
                self._input.rest = self._stream.unused_data
                self._end()
                break
            piece = self._unpack(self._stream, size)
            self._count(piece)
            if piece:
                return piece
        return b""

    def _unpack(self, stream: "zlib._Decompress", size: int) -> bytes:
        data = stream.unconsumed_tail
        if not (data or self._is_full):
            data = self._input.some()
            self._is_ended = not data
        try:
            # What is full may hold more than it gave, though all its input was taken.
            piece = stream.decompress(data, size)
        except zlib.error as error:
            raise CorruptBodyError(str(error)) from error
        self._is_full = len(piece) == size
        return piece

    def _begin(self) -> None:
        raise NotImplementedError

    def _count(self, piece: bytes) -> None:
        """See what was unpacked."""

    def _end(self) -> None:
        """Read what comes after the stream."""


class Gzip(_Inflate):
    """The first member of a gzip file."""

    def __init__(self, inner: Source, notes: list[str]) -> None:
        """Unpack the source; oddities go to the notes."""
        super().__init__(inner, notes)
        self._crc = self._size = 0

    def _begin(self) -> None:
        head = self._input.take(_HEADER_BYTES)
        if not _MAGIC.startswith(head[:3]):
            raise CorruptBodyError("there is no gzip header")
        flags = head[3] if len(head) == _HEADER_BYTES else 0
        if flags & _RESERVED:
            self._notes.append("gzip_header")
        if flags & _EXTRA:
            self._input.take(int.from_bytes(self._input.take(2), "little"))
        for flag in (_NAME, _COMMENT):
            if flags & flag:
                self._input.skip_text()
        if flags & _CHECKED:
            self._input.take(2)

    def _count(self, piece: bytes) -> None:
        self._crc = zlib.crc32(piece, self._crc)
        self._size += len(piece)

    def _end(self) -> None:
        expected = self._crc.to_bytes(4, "little") + (self._size % 2**32).to_bytes(4, "little")
        if self._input.take(_TRAILER_BYTES) != expected:
            self._notes.append("gzip_trailer")
        if self._input.rest.strip(b"\0"):  # servers pad
            self._notes.append("gzip_excess")


class Deflate(_Inflate):
    """A zlib stream, or what some servers send for one: the bare deflate stream."""

    def _begin(self) -> None:
        head = self._input.take(2)
        # RFC 1950: method 8, a window of at most 32 KiB, no dictionary, a multiple of 31.
        is_zlib = (
            len(head) == 2  # noqa: PLR2004 - the header's length
            and head[0] & 0x0F == zlib.DEFLATED
            and head[0] >> 4 <= _MAX_WINDOW
            and not head[1] & 0x20
            and int.from_bytes(head, "big") % 31 == 0
        )
        if not is_zlib:
            self._input.rest = head + self._input.rest
