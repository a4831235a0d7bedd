"""Where a response's body ends, as browsers find it (RFC 9112, 6), and the readers of it."""

import re
from collections.abc import Iterator
from typing import Protocol

from fetcher.http.head import HTTP_2, Head

#: White space of headers. Python strips more: a no-break space, a file separator.
BLANKS = " \t"
#: As long as Chromium lets a line between chunks be.
_MAX_LINE_BYTES = 16 * 1024
#: Lines after the last chunk say nothing to browsers; this is where reading them ends.
_MAX_TRAILER_BYTES = 512 * 1024
_MAX_LENGTH = 2**63 - 1
_LENGTH = re.compile(r"-?[0-9]+")
_SIZE = re.compile(rb"([0-9A-Fa-f]+) *")
_ITEM = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*+"?)*+', re.DOTALL)

#: Chromium takes no body of these, whatever their headers say.
_BODILESS = frozenset({204, 205, 304})
#: The first version with chunks.
_CHUNKS_SINCE = "HTTP/1.1"


class BodyReader(Protocol):
    """Tells a body's bytes from their framing; the result is the same however they are split."""

    #: Whether nothing more belongs to the body.
    is_whole: bool
    #: Whether the connection's end may be the body's.
    may_end: bool
    #: Why nothing after what was given can be read; empty while it can.
    fault: str
    #: As in `Head`.
    anomalies: list[str]

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes and return those of the body."""


class Rest:
    """A body that ends with its connection, or after a number of bytes."""

    def __init__(self, length: int | None) -> None:
        """Expect so many bytes; None for all that come."""
        self._left = length
        self.is_whole = length == 0
        self.may_end = length is None
        self.fault = ""
        self.anomalies: list[str] = []

    def feed(self, data: bytes) -> bytes:
        """Return the bytes up to the length."""
        if self._left is None:
            return data
        piece = data[: self._left]
        self._left -= len(piece)
        self.is_whole = self._left == 0
        return piece


class Chunks:
    """A body in chunks; their lines may end in LF alone and hold extensions, which say nothing."""

    def __init__(self) -> None:
        """Expect the first chunk's size."""
        self._line = bytearray()
        self._left = 0
        self._is_after_data = False
        self._trailer_bytes: int | None = None
        self.is_whole = False
        self.may_end = False
        self.fault = ""
        self.anomalies: list[str] = []

    def feed(self, data: bytes) -> bytes:
        """Return the bytes of the chunks, up to the first fault."""
        body: list[bytes] = []
        position = 0
        while position < len(data) and not self.is_whole and not self.fault:
            if self._left:
                piece = data[position : position + self._left]
                self._left -= len(piece)
                position += len(piece)
                body.append(piece)
                continue
            end = data.find(b"\n", position) + 1
            self._line += data[position : end or len(data)]
            position = end or len(data)
            self._check()
            if end and not self.fault:
                self._take(bytes(self._line[:-1]))
                self._line.clear()
        return b"".join(body)

    def _check(self) -> None:
        """Hold the limits; a line counts without its LF, so that it does not matter where it is."""
        size = len(self._line) - self._line.endswith(b"\n")
        if size > _MAX_LINE_BYTES:
            self._fail("a line between its chunks is too long")

    def _take(self, ended: bytes) -> None:
        if not ended.endswith(b"\r"):
            self._note("chunk_line_end")
        line = ended.removesuffix(b"\r")
        if self._trailer_bytes is not None:
            self._trailer_bytes += len(line)
            self.is_whole = not line
            if self._trailer_bytes > _MAX_TRAILER_BYTES:
                self._fail("there is no end to the lines after its last chunk")
        elif self._is_after_data:
            self._is_after_data = False
            if line:
                self._fail("a chunk is longer than its size says")
        else:
            self._begin(line.partition(b";")[0])

    def _begin(self, written: bytes) -> None:
        size = _SIZE.fullmatch(written)
        self._left = int(size[1], 16) if size else 0
        if size is None or self._left > _MAX_LENGTH:
            self._left = 0
            self._fail("a chunk's size is no number")
            return
        if size[1] != written:
            self._note("chunk_size")
        if self._left:
            self._is_after_data = True
        else:
            self._trailer_bytes = 0

    def _note(self, word: str) -> None:
        if word not in self.anomalies:
            self.anomalies.append(word)

    def _fail(self, words: str) -> None:
        self.fault = words
        self._note("chunk_framing")


def body_reader(head: Head) -> BodyReader:
    """Return the reader of a response's body."""
    if head.status in _BODILESS:
        return Rest(0)
    return Chunks() if _is_chunked(head) else Rest(_length(head))


def anomalies(head: Head) -> Iterator[str]:
    """Yield words for framing headers that RFC 9112 does not allow, or lets nobody send."""
    codings = [coding.lower() for coding in listed(head, "transfer-encoding")]
    lengths = listed(head, "content-length")
    if codings and (codings != ["chunked"] or head.http_version < _CHUNKS_SINCE):
        yield "transfer_encoding"
    if lengths and (len(lengths) > 1 or codings or not re.fullmatch("[0-9]+", lengths[0])):
        yield "content_length"


def conflict(head: Head) -> str:
    """Return a header that is there with different values, for which browsers show an error."""
    if len(set(head.values("location"))) > 1:
        return "location"
    if head.http_version == HTTP_2:
        return ""
    names = ("content-disposition", *(() if _is_chunked(head) else ("content-length",)))
    return next((name for name in names if len(set(listed(head, name))) > 1), "")


def listed(head: Head, name: str) -> list[str]:
    """Return the values of a header that may hold several, separated by commas."""
    return [item for value in head.values(name) for item in _items(value)]


def _items(value: str) -> Iterator[str]:
    position = -1
    while position < len(value):
        match = _ITEM.match(value, position + 1)
        if match is None:
            return
        yield match[0].strip(BLANKS)
        position = match.end()


def _is_chunked(head: Head) -> bool:
    codings = {coding.lower() for coding in listed(head, "transfer-encoding")}
    return "chunked" in codings and head.http_version >= _CHUNKS_SINCE


def _length(head: Head) -> int | None:
    """Return the length that browsers believe, None for up to the connection's end."""
    first = next(iter(listed(head, "content-length")), "")
    digits = first.lstrip("-").lstrip("0")
    if not _LENGTH.fullmatch(first) or len(digits) > len(str(_MAX_LENGTH)):
        return None
    length = int(first)
    return length if 0 <= length <= _MAX_LENGTH else None
