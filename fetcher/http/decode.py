"""Reads a body within its limits, on the wire and after each decompression.

Each stage asks the one before it for a piece of limited size. So a decompression bomb is expanded
to the limit at most, and uses little memory.
"""

from collections.abc import Callable, Iterator
from typing import IO, cast

from fetcher.content.brotli_stream import BrotliSource
from fetcher.content.inflate import CorruptBodyError, Deflate, Gzip, Source
from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError, deadline_passed
from fetcher.http.framing import BLANKS

_PIECE_BYTES = 64 * 1024
#: Browsers have no limit. Each stage needs some hundred KiB.
_MAX_STAGES = 8

#: Browsers refuse zstd windows above 8 MiB (RFC 9659).
_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024


class CapReachedError(Exception):
    """A stage has returned as many bytes as its limit allows, and there are more."""


class CappedSource:
    """Counts the bytes of a source and stops at a limit and at the deadline."""

    def __init__(self, inner: Source, cap: int, deadline: Deadline) -> None:
        """Wrap the source."""
        self._inner, self._cap, self._deadline = inner, cap, deadline
        self.count = 0

    def read(self, size: int = _PIECE_BYTES, /) -> bytes:
        """Return a piece; raise `CapReachedError` if there are more bytes than the limit."""
        if self._deadline.is_over():
            raise deadline_passed("reading the body")
        bytes_left = self._cap - self.count
        if bytes_left <= 0:
            if self._inner.read(1):
                raise CapReachedError
            return b""
        piece = self._inner.read(min(size, _PIECE_BYTES, bytes_left))
        self.count += len(piece)
        return piece


class IteratorSource:
    """Makes a readable source from an iterator.

    It returns as many bytes as requested until the iterator ends. So the next stages see the same
    pieces in whatever packets the bytes arrived, and the result of an error is the same too.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        """Wrap the iterator."""
        self._pieces, self._rest = pieces, bytearray()
        self._failure: FetchFailedError | None = None

    def read(self, size: int = _PIECE_BYTES, /) -> bytes:
        """Return `size` bytes, fewer at the end; a failure is raised after the bytes before it."""
        self._fill(size)
        if self._failure is not None and not self._rest:
            raise self._failure
        piece = bytes(self._rest[:size])
        del self._rest[:size]
        return piece

    def _fill(self, size: int) -> None:
        while len(self._rest) < size and self._failure is None:
            try:
                piece = next(self._pieces, b"")
            except FetchFailedError as failure:
                self._failure = failure
                return
            if not piece:
                return
            self._rest += piece


class _Zstd:
    def __init__(self, inner: Source) -> None:
        import zstandard  # noqa: PLC0415 - importing it takes 16 ms, and few pages need it

        self._error = zstandard.ZstdError
        unpacker = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
        self._reader = unpacker.stream_reader(
            cast("IO[bytes]", inner),  # the library only reads from it
            _PIECE_BYTES,
            read_across_frames=True,
        )

    def read(self, size: int = _PIECE_BYTES, /) -> bytes:
        try:
            return self._reader.read1(size)
        except self._error as error:
            raise CorruptBodyError(str(error)) from error


_STAGES: dict[str, Callable[[Source, list[str]], Source]] = {
    "gzip": Gzip,
    "x-gzip": Gzip,
    "deflate": Deflate,
    "br": lambda inner, _: BrotliSource(inner),
    "zstd": lambda inner, _: _Zstd(inner),
}


def parse_encodings(content_encoding: str) -> tuple[str, ...]:
    """Return the encodings in the order in which they were applied.

    Return none if one of them is unknown, `identity` or empty: browsers then use the bytes as they
    are. Raise `CorruptBodyError` if there are more than a legitimate server applies.
    """
    named = tuple(part.strip(BLANKS).lower() for part in content_encoding.split(","))
    if not all(name in _STAGES for name in named):
        return ()
    if len(named) > _MAX_STAGES:
        raise CorruptBodyError(f"{len(named)} content encodings on top of each other")
    return named


def decompressed(
    wire: Source, names: tuple[str, ...], cap: int, deadline: Deadline, anomalies: list[str]
) -> Source:
    """Return a source of the decompressed body; every stage has the same limit and deadline.

    Reading it adds the anomalies of the encodings to the list `anomalies`.
    """
    source = wire
    for name in reversed(names):
        source = CappedSource(_STAGES[name](source, anomalies), cap, deadline)
    return source
