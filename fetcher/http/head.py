"""Reads the head of a response as browsers do, and records deviations from RFC 9112.

Chromium's interpretation of the same bytes is the reference. A server could show another page to a
scanner that is more strict or more tolerant than the victim's browser. Deviations are evidence;
they do not end the fetch.
"""

import re
from collections.abc import Iterator

from msgspec import Struct

from fetcher.sanitize import decode_header

#: Browsers accept 256 KiB of headers. The limit is higher so that a head with ten thousand headers
#: is still evidence.
MAX_HEAD_BYTES = 512 * 1024

#: Chromium skips up to four bytes of any kind before the status line: it searches for the
#: protocol's name within the first eight bytes.
_NAME_WITHIN = 8
_NAME = re.compile(rb"http", re.IGNORECASE)
_END = re.compile(rb"\n\r?\n")
_LINES = re.compile(rb"[\r\n]+")
_BLANKS = b" \t"
_VERSION = re.compile(rb"http/(\d)[^.]*\.(\d)", re.IGNORECASE)
_STATUS = re.compile(rb"[^ ]* +(\d+)")
_MAX_STATUS = 2**31 - 1
_OK = 200

#: A status line by RFC 9112 (4). The space before an empty reason is optional, since many servers
#: omit it.
_REGULAR_STATUS = re.compile(rb"HTTP/1\.[01] [1-9]\d\d(?: [\t -~\x80-\xff]*)?")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_BARE_CR = re.compile(rb"\r(?!\n)")


#: The version of an HTTP/2 response in `Head`. No status line yields it.
HTTP_2 = "HTTP/2"


class NotHttpError(Exception):
    """No browser accepts the bytes as a response."""


class NoStatusLineError(NotHttpError):
    """The bytes do not begin with a status line; they may be a response of HTTP/0.9."""


class Head(Struct, frozen=True):
    """Status line and headers as browsers interpret them."""

    status: int
    http_version: str
    #: The headers as bytes, because redirects and cookies need the exact bytes. Names are ASCII.
    raw: tuple[tuple[bytes, bytes], ...]
    #: Names of the deviations from RFC 9112, in the order in which they were found.
    anomalies: tuple[str, ...] = ()

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Names and values as text."""
        return tuple((name.decode("ascii"), decode_header(value)) for name, value in self.raw)

    def raw_values(self, name: bytes) -> tuple[bytes, ...]:
        """Return the bytes of all headers with this name (lower-case)."""
        return tuple(value for key, value in self.raw if key.lower() == name)

    def value(self, name: str) -> str:
        """Return the first header with this name (lower-case), or an empty string."""
        return next(iter(self.values(name)), "")

    def values(self, name: str) -> tuple[str, ...]:
        """Return all headers with this name (lower-case)."""
        return tuple(map(decode_header, self.raw_values(name.encode("ascii"))))


class HeadReader:
    """Collects bytes until the head is complete; the result does not depend on packet sizes."""

    def __init__(self) -> None:
        """Start without any bytes."""
        self._data = bytearray()
        self._start: int | None = None
        self._searched = 0
        #: The bytes after the head; all bytes if there is no status line.
        self.rest = b""

    def feed(self, data: bytes) -> Head | None:
        """Process the next bytes and return the head when it is complete.

        Raise `NotHttpError` if the bytes are not a head. After a `NoStatusLineError`, `rest` holds
        all bytes.
        """
        self._data += data
        if self._start is None:
            found = _NAME.search(self._data, 0, _NAME_WITHIN)
            if found is None:
                if len(self._data) >= _NAME_WITHIN:
                    raise self._no_status_line()
                return None
            self._start = self._searched = found.start()
        end = _END.search(self._data, max(self._start, self._searched - 2))
        self._searched = len(self._data)
        if (end.end() if end else len(self._data)) > MAX_HEAD_BYTES:
            raise NotHttpError(f"its headers are longer than {MAX_HEAD_BYTES:,} bytes")
        return self._split(self._start, end.end()) if end else None

    def end(self) -> Head | None:
        """Return the head at the end of the connection; None if there are no bytes.

        Raise `NotHttpError` as `feed` does.
        """
        if not self._data:
            return None
        if self._start is None:
            raise self._no_status_line()
        return self._split(self._start, len(self._data), is_whole=False)

    def _split(self, start: int, end: int, *, is_whole: bool = True) -> Head:
        self.rest = bytes(self._data[end:])
        if b"\0" in self._data[:end]:
            raise NotHttpError("there is a NUL in its headers")
        anomalies = ["junk_before_head"] if start else []
        return parse_head(
            bytes(self._data[start:end]), [*anomalies, *([] if is_whole else ["head_cut"])]
        )

    def _no_status_line(self) -> NoStatusLineError:
        self.rest = bytes(self._data)
        return NoStatusLineError("it does not begin with a status line")


def parse_head(raw: bytes, anomalies: list[str]) -> Head:
    """Parse a head that begins with the protocol's name; `anomalies` were found before."""
    first, *lines = _LINES.split(raw)
    anomalies = [
        *anomalies,
        *(
            word
            for word, mark in (("bare_lf", _BARE_LF), ("bare_cr", _BARE_CR))
            if mark.search(raw)
        ),
    ]
    if not _REGULAR_STATUS.fullmatch(first):
        anomalies.append("status_line")
    headers = tuple(_headers(_unfold(lines, anomalies), anomalies))
    version = _VERSION.match(first)
    status = _STATUS.match(first)
    return Head(
        status=min(int(status[1].lstrip(b"0")[:10] or b"0"), _MAX_STATUS) if status else _OK,
        http_version=f"HTTP/{int(version[1])}.{int(version[2])}" if version else "HTTP/1.0",
        raw=headers,
        anomalies=tuple(dict.fromkeys(anomalies)),
    )


def _unfold(lines: list[bytes], anomalies: list[str]) -> list[bytearray]:
    """Return the header lines, with continuation lines joined to their header."""
    joined: list[bytearray] = []
    takes_more = False
    for line in filter(None, lines):
        if takes_more and line[:1] in _BLANKS:
            anomalies.append("folded_header")
            joined[-1] += b" " + line.lstrip(_BLANKS)
        else:
            joined.append(bytearray(line))
            takes_more = line.find(b":") > 0 and line[:1] not in _BLANKS
    return joined


def _headers(lines: list[bytearray], anomalies: list[str]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the headers; invalid lines are skipped, as in browsers."""
    for line in lines:
        written, colon, after = bytes(line).partition(b":")
        name, value = written.strip(_BLANKS), after.strip(_BLANKS)
        if not colon or not _TOKEN.fullmatch(name) or written[:1] in _BLANKS:
            anomalies.append("header_line")
            continue
        if name != written:
            anomalies.append("header_name_space")
        if _CONTROL.search(value):
            anomalies.append("control_character")
        yield name, value
