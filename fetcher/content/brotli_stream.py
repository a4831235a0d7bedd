"""Brotli decompression as in browsers (RFC 7932): bytes after the stream are ignored."""

from collections.abc import Iterator

from fetcher.content.inflate import CorruptBodyError, Source

_PIECE_BYTES = 64 * 1024
#: At most this many compressed bytes are kept for a second pass; pages are smaller.
_MAX_REPLAY_BYTES = 1024 * 1024


class BrotliSource:
    """Decompresses one stream.

    The library returns no output for a piece of input in which it finds an error, and bytes after
    the end of the stream are an error to it. In that case all earlier pieces are decompressed once
    more, and then the last piece byte by byte.
    """

    def __init__(self, inner: Source) -> None:
        """Decompress the bytes of the source."""
        import brotli  # type: ignore[import-untyped]  # noqa: PLC0415 - no type hints; rarely needed

        self._inner, self._library = inner, brotli
        self._stream = brotli.Decompressor()
        self._rest = b""
        self._input: list[bytes] = []
        self._input_bytes = 0
        self._replay: Iterator[bytes] | None = None
        #: Bytes returned so far, and bytes of the second pass that the first one has returned.
        self._count = self._to_skip = 0

    def read(self, size: int = _PIECE_BYTES, /) -> bytes:
        """Return up to `size` bytes; raise `CorruptBodyError` if the stream is invalid."""
        while not self._rest and not self._stream.is_finished():
            needs_input = self._stream.can_accept_more_data()
            data = self._next_input() if needs_input else b""
            try:
                # The library may exceed this limit by some tens of KiB.
                piece = bytes(self._stream.process(data, output_buffer_limit=_PIECE_BYTES))
            except self._library.error as error:
                self._retry_bytewise(error)
                continue
            skipped = min(self._to_skip, len(piece))
            self._to_skip -= skipped
            self._rest = piece[skipped:]
            self._count += len(self._rest)
            if needs_input and not data and not piece:
                return b""
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    def _next_input(self) -> bytes:
        if self._replay is not None:
            return next(self._replay, b"")
        data = self._inner.read(_PIECE_BYTES)
        self._input_bytes += len(data)
        if self._input_bytes <= _MAX_REPLAY_BYTES:
            self._input.append(data)
        else:
            self._input.clear()
        return data

    def _retry_bytewise(self, error: Exception) -> None:
        if self._replay is not None or not self._input:
            raise CorruptBodyError(str(error)) from error
        self._replay = _split_last_piece(self._input)
        self._stream, self._to_skip = self._library.Decompressor(), self._count


def _split_last_piece(pieces: list[bytes]) -> Iterator[bytes]:
    *before, last = pieces
    yield from before
    for position in range(len(last)):
        yield last[position : position + 1]
