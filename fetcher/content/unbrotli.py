"""Brotli as browsers unpack it (RFC 7932): what comes after the stream is passed over."""

from collections.abc import Iterator

from fetcher.content.inflate import CorruptBodyError, Source

_PIECE_BYTES = 64 * 1024
#: Of the packed bytes as many are kept, to unpack them once more at a fault; pages are smaller.
_MAX_KEPT_BYTES = 1024 * 1024


class Brotli:
    """Unpacks one stream.

    The library gives nothing of a piece in which it finds a fault, and bytes after the end are
    one. So all up to that piece is unpacked once more, and then the piece byte by byte.
    """

    def __init__(self, inner: Source) -> None:
        """Unpack the source."""
        import brotli  # type: ignore[import-untyped]  # noqa: PLC0415 - types: none; lazy: rare

        self._inner, self._library = inner, brotli
        self._stream = brotli.Decompressor()
        self._rest = b""
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._again: Iterator[bytes] | None = None
        #: Bytes unpacked so far, and how many of those unpacked again were given before.
        self._count = self._skip = 0

    def read(self, size: int = _PIECE_BYTES, /) -> bytes:
        """Return up to `size` bytes; raise `CorruptBodyError` where there is a fault."""
        while not self._rest and not self._stream.is_finished():
            is_hungry = self._stream.can_accept_more_data()
            data = self._next() if is_hungry else b""
            try:
                # The limit is a hint to the library: it may give some tens of KiB more.
                piece = bytes(self._stream.process(data, output_buffer_limit=_PIECE_BYTES))
            except self._library.error as error:
                self._begin_again(error)
                continue
            skipped = min(self._skip, len(piece))
            self._skip -= skipped
            self._rest = piece[skipped:]
            self._count += len(self._rest)
            if is_hungry and not data and not piece:
                return b""
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def _next(self) -> bytes:
        if self._again is not None:
            return next(self._again, b"")
        data = self._inner.read(_PIECE_BYTES)
        self._kept_bytes += len(data)
        if self._kept_bytes <= _MAX_KEPT_BYTES:
            self._kept.append(data)
        else:
            self._kept.clear()
        return data

    def _begin_again(self, error: Exception) -> None:
        if self._again is not None or not self._kept:
            raise CorruptBodyError(str(error)) from error
        self._again = _bytewise_at_the_end(self._kept)
        self._stream, self._skip = self._library.Decompressor(), self._count


def _bytewise_at_the_end(pieces: list[bytes]) -> Iterator[bytes]:
    *before, last = pieces
    yield from before
    for position in range(len(last)):
        yield last[position : position + 1]
