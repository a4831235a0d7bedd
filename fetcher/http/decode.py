"""Reads a body under its caps: bytes on the wire, and again bytes after each decompression.

Each stage is a source that is asked for a bounded piece, so a bomb is never unpacked further
than its cap and costs no memory.
"""

from collections.abc import Callable, Iterator
from typing import IO, cast

from fetcher.content.inflate import CorruptBodyError, Deflate, Gzip, Source
from fetcher.content.unbrotli import Brotli
from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError, timed_out
from fetcher.http.framing import BLANKS

_PIECE_BYTES = 64 * 1024
#: Browsers have no limit; each stage holds some hundred KiB.
_MAX_STAGES = 8

#: Browsers refuse zstd windows above 8 MiB (RFC 9659).
_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024


class CapReachedError(Exception):
    """A stage has given as many bytes as it may."""


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
    """Makes a source of an iterator.

    It gives as many bytes as are asked for until there are no more. So the stages after it see
    the same pieces whatever packets the bytes came in, and keep or lose the same at a fault.
    """

    def __init__(self, pieces: Iterator[bytes]) -> None:
        """Wrap the iterator."""
        self._pieces, self._rest = pieces, bytearray()
        self._failure: FetchFailedError | None = None

    def read(self, size: int = _PIECE_BYTES, /) -> bytes:
        """Return `size` bytes, fewer at the end; what came before a failure is given first."""
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


_STAGES: dict[str, Callable[[Source, list[str]], Source]] = {
    "gzip": Gzip,
    "x-gzip": Gzip,
    "deflate": Deflate,
    "br": lambda inner, _: Brotli(inner),
    "zstd": lambda inner, _: _Zstd(inner),
}


def encodings(content_encoding: str) -> tuple[str, ...]:
    """Return the encodings in the order they were applied.

    None where one of them is unknown, `identity` or empty: browsers then show the bytes as they
    are. Raises `CorruptBodyError` where there are more than any honest server applies.
    """
    named = tuple(part.strip(BLANKS).lower() for part in content_encoding.split(","))
    if not all(name in _STAGES for name in named):
        return ()
    if len(named) > _MAX_STAGES:
        raise CorruptBodyError(f"{len(named)} content encodings on top of each other")
    return named


def unpacked(
    wire: Source, names: tuple[str, ...], cap: int, deadline: Deadline, notes: list[str]
) -> Source:
    """Return a source of the plain body; every stage has the same cap and deadline.

    Words for what is odd about the encoding are added to the notes while it is read.
    """
    source = wire
    for name in reversed(names):
        source = Capped(_STAGES[name](source, notes), cap, deadline)
    return source
