"""Reads a body under its caps: bytes on the wire, and again bytes after each decompression.

Each stage is a source that is asked for a bounded piece, so a bomb is never unpacked further
than its cap and costs no memory.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import IO, Protocol, cast

from fetcher.deadline import Deadline
from fetcher.ending import timed_out

_PIECE_BYTES = 64 * 1024
_MAX_STAGES = 3

#: Browsers refuse zstd windows above 8 MiB (RFC 9659).
_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024


class CorruptBodyError(Exception):
    """The body is not what its Content-Encoding says."""


class CapReachedError(Exception):
    """A stage has given as many bytes as it may."""


class Source(Protocol):
    """Gives bytes when asked; none at its end."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes."""


class Capped:
    """Counts what passes and stops at the cap and at the deadline."""

    def __init__(self, inner: Source, cap: int, deadline: Deadline) -> None:
        """Wrap the source."""
        self._inner, self._cap, self._deadline = inner, cap, deadline
        self.count = 0

    def read(self, size: int = _PIECE_BYTES, /) -> bytes:
        """Return a piece; raise `CapReachedError` where there is more than the cap allows."""
        if self._deadline.is_over():
            raise timed_out("reading the body")
        room = self._cap - self.count
        if room <= 0:
            if self._inner.read(1):
                raise CapReachedError
            return b""
        piece = self._inner.read(min(size, _PIECE_BYTES, room))
        self.count += len(piece)
        return piece


class Pieces:
    """Makes a source of an iterator."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        """Wrap the iterator."""
        self._pieces, self._rest = pieces, b""

    def read(self, size: int = _PIECE_BYTES, /) -> bytes:
        """Return up to `size` bytes."""
        if not self._rest:
            self._rest = next(self._pieces, b"")
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


class _Inflate:
    """gzip (several members too) and deflate, with its zlib header or, as some send it, without."""

    def __init__(self, inner: Source, *, is_gzip: bool) -> None:
        self._inner, self._is_gzip = inner, is_gzip
        self._pending = b""
        self._is_ended = False
        self._stream: zlib._Decompress | None = None

    def read(self, size: int = _PIECE_BYTES, /) -> bytes:
        while not self._is_ended:
            data = self._pending or self._next()
            if not data:
                self._is_ended = True
                # What zlib held back for want of room, less than one match.
                return self._stream.flush() if self._stream else b""
            piece = self._unpack(data, size)
            if piece:
                return piece
        return b""

    def _next(self) -> bytes:
        data = self._inner.read(_PIECE_BYTES)
        # The first two bytes tell the kinds of deflate apart.
        return data + self._inner.read(1) if len(data) == 1 and not self._stream else data

    def _unpack(self, data: bytes, size: int) -> bytes:
        stream = self._stream or zlib.decompressobj(self._window(data))
        try:
            piece = stream.decompress(data, size)
        except zlib.error as error:
            raise CorruptBodyError(str(error)) from error
        self._stream, self._pending = stream, stream.unconsumed_tail
        if stream.eof:
            # Another gzip member may follow; anything else after the end is ignored.
            self._stream, self._pending = None, stream.unused_data
            self._is_ended = not (self._is_gzip and self._pending.startswith(b"\x1f\x8b"))
        return piece

    def _window(self, data: bytes) -> int:
        if self._is_gzip:
            return 16 + zlib.MAX_WBITS
        # RFC 1950: method 8, and the first two bytes are a multiple of 31.
        has_header = data[0] & 0x0F == zlib.DEFLATED and int.from_bytes(data[:2], "big") % 31 == 0
        return zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS


class _Brotli:
    def __init__(self, inner: Source) -> None:
        import brotli  # type: ignore[import-untyped]  # noqa: PLC0415 - types: none; lazy: rare

        self._inner, self._error = inner, brotli.error
        self._stream = brotli.Decompressor()
        self._rest = b""

    def read(self, size: int = _PIECE_BYTES, /) -> bytes:
        while not self._rest and not self._stream.is_finished():
            is_hungry = self._stream.can_accept_more_data()
            data = self._inner.read(_PIECE_BYTES) if is_hungry else b""
            try:
                # The limit is a hint to the library: it may give some tens of KiB more.
                self._rest = bytes(self._stream.process(data, output_buffer_limit=_PIECE_BYTES))
            except self._error as error:
                raise CorruptBodyError(str(error)) from error
            if is_hungry and not data and not self._rest:
                return b""
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


class _Zstd:
    def __init__(self, inner: Source) -> None:
        import zstandard  # noqa: PLC0415 - 16 ms that few pages need

        self._error = zstandard.ZstdError
        unpacker = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
        self._reader = unpacker.stream_reader(
            cast("IO[bytes]", inner),  # it only ever reads
            _PIECE_BYTES,
            read_across_frames=True,
        )

    def read(self, size: int = _PIECE_BYTES, /) -> bytes:
        try:
            return self._reader.read1(size)
        except self._error as error:
            raise CorruptBodyError(str(error)) from error


_STAGES: dict[str, Callable[[Source], Source]] = {
    "gzip": lambda inner: _Inflate(inner, is_gzip=True),
    "x-gzip": lambda inner: _Inflate(inner, is_gzip=True),
    "deflate": lambda inner: _Inflate(inner, is_gzip=False),
    "br": _Brotli,
    "zstd": _Zstd,
}


def encodings(content_encoding: str) -> tuple[str, ...]:
    """Return the encodings in the order they were applied; browsers ignore what they do not know.

    Raises `CorruptBodyError` where there are more than any honest server applies.
    """
    named = (part.strip().lower() for part in content_encoding.split(","))
    known = tuple(name for name in named if name in _STAGES)
    if len(known) > _MAX_STAGES:
        raise CorruptBodyError(f"{len(known)} content encodings on top of each other")
    return known


def unpacked(wire: Source, names: tuple[str, ...], cap: int, deadline: Deadline) -> Source:
    """Return a source of the plain body; every stage has the same cap and deadline."""
    source = wire
    for name in reversed(names):
        source = Capped(_STAGES[name](source), cap, deadline)
    return source
