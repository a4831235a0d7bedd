"""Finds the end of a response's body as browsers do (RFC 9112, 6)."""

import re
from collections.abc import Iterator
from typing import Protocol

from fetcher.http.head import HTTP_2, Head

#: White space in headers. `str.strip` would remove more, such as a no-break space.
BLANKS = " \t"
#: Maximum length of a line between chunks, as in Chromium.
_MAX_LINE_BYTES = 16 * 1024
#: Browsers ignore the lines after the last chunk. Reading them stops at this size.
_MAX_TRAILER_BYTES = 512 * 1024
_MAX_LENGTH = 2**63 - 1
_LENGTH = re.compile(r"-?[0-9]+")
_SIZE = re.compile(rb"([0-9A-Fa-f]+) *")
_ITEM = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*+"?)*+', re.DOTALL)

#: Statuses for which Chromium reads no body, whatever the headers are.
_BODILESS = frozenset({204, 205, 304})
#: The first version with chunked coding.
_CHUNKS_SINCE = "HTTP/1.1"


class BodyReader(Protocol):
    """Separates the bytes of a body from their framing.

    The result does not depend on packet sizes.
    """

    #: True if the body has ended.
    is_complete: bool
    #: True if the end of the connection is a valid end of the body.
    may_end_with_connection: bool
    #: The reason why the rest cannot be read; empty if there is no error.
    fault: str
    #: As in `Head`.
    anomalies: list[str]

    def feed(self, data: bytes) -> bytes:
        """Process the next bytes and return those that belong to the body."""


class UnchunkedReader:
    """A body that ends after a number of bytes, or with its connection."""

    def __init__(self, length: int | None) -> None:
        """Expect this number of bytes; None: up to the end of the connection."""
        self._left = length
        self.is_complete = length == 0
        self.may_end_with_connection = length is None
        self.fault = ""
        self.anomalies: list[str] = []

    def feed(self, data: bytes) -> bytes:
        """Return the bytes up to the length."""
        if self._left is None:
            return data
        piece = data[: self._left]
        self._left -= len(piece)
        self.is_complete = self._left == 0
        return piece


class ChunkedReader:
    """A chunked body.

    Its lines may end with LF alone. Chunk extensions are ignored.
    """

    def __init__(self) -> None:
        """Expect the size of the first chunk."""
        self._line = bytearray()
        self._left = 0
        self._is_after_data = False
        self._trailer_bytes: int | None = None
        self.is_complete = False
        self.may_end_with_connection = False
        self.fault = ""
        self.anomalies: list[str] = []

    def feed(self, data: bytes) -> bytes:
        """Return the bytes of the chunks, up to the first error."""
        body: list[bytes] = []
        position = 0
        while position < len(data) and not self.is_complete and not self.fault:
            if self._left:
                piece = data[position : position + self._left]
                self._left -= len(piece)
                position += len(piece)
                body.append(piece)
                continue
            end = data.find(b"\n", position) + 1
            self._line += data[position : end or len(data)]
            position = end or len(data)
            self._check_line_length()
            if end and not self.fault:
                self._process_line(bytes(self._line[:-1]))
                self._line.clear()
        return b"".join(body)

    def _check_line_length(self) -> None:
        """Apply the limit to a line.

        Its LF is not counted, so that packet sizes make no difference.
        """
        size = len(self._line) - self._line.endswith(b"\n")
        if size > _MAX_LINE_BYTES:
            self._fail("a line between its chunks is too long")

    def _process_line(self, ended: bytes) -> None:
        if not ended.endswith(b"\r"):
            self._add_anomaly("chunk_line_end")
        line = ended.removesuffix(b"\r")
        if self._trailer_bytes is not None:
            self._trailer_bytes += len(line)
            self.is_complete = not line
            if self._trailer_bytes > _MAX_TRAILER_BYTES:
                self._fail("the lines after its last chunk are too long")
        elif self._is_after_data:
            self._is_after_data = False
            if line:
                self._fail("a chunk is longer than its size")
        else:
            self._begin_chunk(line.partition(b";")[0])

    def _begin_chunk(self, written: bytes) -> None:
        size = _SIZE.fullmatch(written)
        self._left = int(size[1], 16) if size else 0
        if size is None or self._left > _MAX_LENGTH:
            self._left = 0
            self._fail("a chunk's size is not a number")
            return
        if size[1] != written:
            self._add_anomaly("chunk_size")
        if self._left:
            self._is_after_data = True
        else:
            self._trailer_bytes = 0

    def _add_anomaly(self, name: str) -> None:
        if name not in self.anomalies:
            self.anomalies.append(name)

    def _fail(self, fault: str) -> None:
        self.fault = fault
        self._add_anomaly("chunk_framing")


def body_reader(head: Head) -> BodyReader:
    """Return the reader for the body of a response."""
    if head.status in _BODILESS:
        return UnchunkedReader(0)
    return ChunkedReader() if _is_chunked(head) else UnchunkedReader(_length(head))


def framing_anomalies(head: Head) -> Iterator[str]:
    """Yield an anomaly for each framing header that RFC 9112 does not allow."""
    codings = [coding.lower() for coding in header_items(head, "transfer-encoding")]
    lengths = header_items(head, "content-length")
    if codings and (codings != ["chunked"] or head.http_version < _CHUNKS_SINCE):
        yield "transfer_encoding"
    if lengths and (len(lengths) > 1 or codings or not re.fullmatch("[0-9]+", lengths[0])):
        yield "content_length"


def conflicting_header(head: Head) -> str:
    """Return a header with contradictory values, for which browsers display an error."""
    if len(set(head.values("location"))) > 1:
        return "location"
    if head.http_version == HTTP_2:
        return ""
    names = ("content-disposition", *(() if _is_chunked(head) else ("content-length",)))
    return next((name for name in names if len(set(header_items(head, name))) > 1), "")


def header_items(head: Head, name: str) -> list[str]:
    """Return the values of a header that may contain a list separated by commas."""
    return [item for value in head.values(name) for item in _split_items(value)]


def _split_items(value: str) -> Iterator[str]:
    position = -1
    while position < len(value):
        match = _ITEM.match(value, position + 1)
        if match is None:
            return
        yield match[0].strip(BLANKS)
        position = match.end()


def _is_chunked(head: Head) -> bool:
    codings = {coding.lower() for coding in header_items(head, "transfer-encoding")}
    return "chunked" in codings and head.http_version >= _CHUNKS_SINCE


def _length(head: Head) -> int | None:
    """Return the length that browsers assume; None: up to the end of the connection."""
    first = next(iter(header_items(head, "content-length")), "")
    digits = first.lstrip("-").lstrip("0")
    if not _LENGTH.fullmatch(first) or len(digits) > len(str(_MAX_LENGTH)):
        return None
    length = int(first)
    return length if 0 <= length <= _MAX_LENGTH else None
