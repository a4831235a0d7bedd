"""gzip and deflate decompression as in browsers (RFC 1950, 1951, 1952).

Chromium reads only the first gzip member and does not verify checksums, so an error in the trailer
has no effect.
"""

import zlib
from typing import Protocol

_PIECE_BYTES = 64 * 1024
_MAGIC = b"\x1f\x8b\x08"
#: Magic number, flags, time, extra flags and operating system.
_HEADER_BYTES = 10
_EXTRA, _NAME, _COMMENT, _CHECKED, _RESERVED = 0x04, 0x08, 0x10, 0x02, 0xE0
_TRAILER_BYTES = 8
_MAX_WINDOW = 7


class CorruptBodyError(Exception):
    """The body is not valid in its Content-Encoding."""


class Source(Protocol):
    """A readable source of bytes; it returns no bytes at its end."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes."""


class _BufferedInput:
    """A source from which a given number of bytes can be taken."""

    def __init__(self, inner: Source) -> None:
        self._inner = inner
        #: Bytes that were read from the source and not taken yet.
        self.rest = b""

    def read_available(self) -> bytes:
        """Return the buffered bytes, or the next piece of the source."""
        data, self.rest = self.rest or self._inner.read(_PIECE_BYTES), b""
        return data

    def take(self, size: int) -> bytes:
        """Return this number of bytes, or fewer at the end."""
        parts = []
        while size and (data := self.read_available()):
            part, self.rest = data[:size], data[size:]
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def skip_string(self) -> None:
        """Skip a string and the NUL that ends it."""
        while data := self.read_available():
            position = data.find(b"\0")
            if position >= 0:
                self.rest = data[position + 1 :]
                return


class _Inflate:
    """Decompresses one deflate stream; subclasses read its header and trailer."""

    def __init__(self, inner: Source, anomalies: list[str]) -> None:
        self._input = _BufferedInput(inner)
        self._anomalies = anomalies
        self._stream: zlib._Decompress | None = None
        self._may_have_more = False
        self._is_at_end = False

    def read(self, size: int = _PIECE_BYTES, /) -> bytes:
        if self._stream is None:
            self._read_header()
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        while not self._is_at_end:
            if self._stream.eof:
                self._is_at_end = True
                self._input.rest = self._stream.unused_data
                self._read_trailer()
                break
            piece = self._decompress(self._stream, size)
            self._on_output(piece)
            if piece:
                return piece
        return b""

    def _decompress(self, stream: "zlib._Decompress", size: int) -> bytes:
        data = stream.unconsumed_tail
        if not (data or self._may_have_more):
            data = self._input.read_available()
            self._is_at_end = not data
        try:
            # If the last call returned `size` bytes, the stream may hold more output without more
            # input.
            piece = stream.decompress(data, size)
        except zlib.error as error:
            raise CorruptBodyError(str(error)) from error
        self._may_have_more = len(piece) == size
        return piece

    def _read_header(self) -> None:
        raise NotImplementedError

    def _on_output(self, piece: bytes) -> None:
        """Process a piece of output."""

    def _read_trailer(self) -> None:
        """Read the bytes after the stream."""


class Gzip(_Inflate):
    """The first member of a gzip file."""

    def __init__(self, inner: Source, anomalies: list[str]) -> None:
        """Decompress the bytes of the source; anomalies are added to the list."""
        super().__init__(inner, anomalies)
        self._crc = self._size = 0

    def _read_header(self) -> None:
        head = self._input.take(_HEADER_BYTES)
        if not _MAGIC.startswith(head[:3]):
            raise CorruptBodyError("there is no gzip header")
        flags = head[3] if len(head) == _HEADER_BYTES else 0
        if flags & _RESERVED:
            self._anomalies.append("gzip_header")
        if flags & _EXTRA:
            self._input.take(int.from_bytes(self._input.take(2), "little"))
        for flag in (_NAME, _COMMENT):
            if flags & flag:
                self._input.skip_string()
        if flags & _CHECKED:
            self._input.take(2)

    def _on_output(self, piece: bytes) -> None:
        self._crc = zlib.crc32(piece, self._crc)
        self._size += len(piece)

    def _read_trailer(self) -> None:
        expected = self._crc.to_bytes(4, "little") + (self._size % 2**32).to_bytes(4, "little")
        if self._input.take(_TRAILER_BYTES) != expected:
            self._anomalies.append("gzip_trailer")
        if self._input.rest.strip(b"\0"):  # some servers add padding
            self._anomalies.append("gzip_excess")


class Deflate(_Inflate):
    """A zlib stream, or the raw deflate stream that some servers send instead."""

    def _read_header(self) -> None:
        head = self._input.take(2)
        # RFC 1950: method 8, a window of at most 32 KiB, no dictionary, and a multiple of 31.
        is_zlib = (
            len(head) == 2  # noqa: PLR2004 - the header's length
            and head[0] & 0x0F == zlib.DEFLATED
            and head[0] >> 4 <= _MAX_WINDOW
            and not head[1] & 0x20
            and int.from_bytes(head, "big") % 31 == 0
        )
        if not is_zlib:
            self._input.rest = head + self._input.rest
