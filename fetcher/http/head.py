"""Reads a response's head as browsers read it, and notes where it departs from RFC 9112.

What Chromium makes of the same bytes decides: who reads more strictly or more loosely than the
victim's browser can be shown another page. Departures are evidence and no end.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fetcher.sanitize import from_header

#: Browsers take 256 KiB of headers; some more, so that ten thousand of them are still evidence.
MAX_HEAD_BYTES = 512 * 1024

#: Before the status line Chromium skips up to four bytes, whatever they are: it looks for the
#: protocol's name within the first eight.
_NAME_WITHIN = 8
_NAME = re.compile(rb"http", re.IGNORECASE)
_END = re.compile(rb"\n\r?\n")
_LINES = re.compile(rb"[\r\n]+")
_BLANKS = b" \t"
_VERSION = re.compile(rb"http/(\d)[^.]*\.(\d)", re.IGNORECASE)
_STATUS = re.compile(rb"[^ ]* +(\d+)")
_MAX_STATUS = 2**31 - 1
_OK = 200

#: What RFC 9112 (4) writes, without the space that many servers leave out before no reason.
_REGULAR_STATUS = re.compile(rb"HTTP/1\.[01] [1-9]\d\d(?: [\t -~\x80-\xff]*)?")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_BARE_CR = re.compile(rb"\r(?!\n)")


#: What `Head` calls it; a status line cannot.
HTTP_2 = "HTTP/2"


class NotHttpError(Exception):
    """No browser takes the bytes for a response."""


class NamelessError(NotHttpError):
    """The bytes do not begin with a status line; they may be a response of HTTP/0.9."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status line and headers, as browsers understand them."""

    status: int
    http_version: str
    #: The headers as bytes: what is sent on or resolved must not lose them. Names are ASCII.
    raw: tuple[tuple[bytes, bytes], ...]
    #: Words for what departs from RFC 9112, in the order it was found.
    anomalies: tuple[str, ...] = ()

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Names and values as text."""
        return tuple((name.decode("ascii"), from_header(value)) for name, value in self.raw)

    def raw_values(self, name: bytes) -> tuple[bytes, ...]:
        """Return the bytes of all headers of this name (lower-case)."""
        return tuple(value for key, value in self.raw if key.lower() == name)

    def value(self, name: str) -> str:
        """Return the first header of this name (lower-case), or an empty text."""
        return next(iter(self.values(name)), "")

    def values(self, name: str) -> tuple[str, ...]:
        """Return all headers of this name (lower-case)."""
        return tuple(map(from_header, self.raw_values(name.encode("ascii"))))


class HeadReader:
    """Collects bytes until they are a head; the result is the same however they are split."""

    def __init__(self) -> None:
        """Begin with no bytes."""
        self._data = bytearray()
        self._start: int | None = None
        self._searched = 0
        #: What came after the head; without a status line all that came.
        self.rest = b""

    def feed(self, data: bytes) -> Head | None:
        """Take the next bytes and return the head once it is there.

        Raises `NotHttpError` where it is none; after a `NamelessError`, `rest` is all that came.
        """
        self._data += data
        if self._start is None:
            found = _NAME.search(self._data, 0, _NAME_WITHIN)
            if found is None:
                if len(self._data) >= _NAME_WITHIN:
                    raise self._nameless()
                return None
            self._start = self._searched = found.start()
        end = _END.search(self._data, max(self._start, self._searched - 2))
        self._searched = len(self._data)
        if (end.end() if end else len(self._data)) > MAX_HEAD_BYTES:
            raise NotHttpError(f"its headers are longer than {MAX_HEAD_BYTES:,} bytes")
        return self._cut(self._start, end.end()) if end else None

    def end(self) -> Head | None:
        """Return what the bytes so far say by themselves; None where there are none.

        Raises `NotHttpError` as `feed` does.
        """
        if not self._data:
            return None
        if self._start is None:
            raise self._nameless()
        return self._cut(self._start, len(self._data), is_whole=False)

    def _cut(self, start: int, end: int, *, is_whole: bool = True) -> Head:
        self.rest = bytes(self._data[end:])
        if b"\0" in self._data[:end]:
            raise NotHttpError("there is a NUL in its headers")
        notes = ["junk_before_head"] if start else []
        return parse_head(
            bytes(self._data[start:end]), [*notes, *([] if is_whole else ["head_cut"])]
        )

    def _nameless(self) -> NamelessError:
        self.rest = bytes(self._data)
        return NamelessError("it does not begin with a status line")


def parse_head(raw: bytes, notes: list[str]) -> Head:
    """Read a head that begins with the protocol's name; `notes` are anomalies already known."""
    first, *lines = _LINES.split(raw)
    notes = [
        *notes,
        *(
            word
            for word, mark in (("bare_lf", _BARE_LF), ("bare_cr", _BARE_CR))
            if mark.search(raw)
        ),
    ]
    if not _REGULAR_STATUS.fullmatch(first):
        notes.append("status_line")
    headers = tuple(_headers(_unfolded(lines, notes), notes))
    version = _VERSION.match(first)
    status = _STATUS.match(first)
    return Head(
        status=min(int(status[1].lstrip(b"0")[:10] or b"0"), _MAX_STATUS) if status else _OK,
        http_version=f"HTTP/{int(version[1])}.{int(version[2])}" if version else "HTTP/1.0",
        raw=headers,
        anomalies=tuple(dict.fromkeys(notes)),
    )


def _unfolded(lines: list[bytes], notes: list[str]) -> list[bytearray]:
    """Return the lines, those that go on with a header's value joined to its own."""
    joined: list[bytearray] = []
    takes_more = False
    for line in filter(None, lines):
        if takes_more and line[:1] in _BLANKS:
            notes.append("folded_header")
            joined[-1] += b" " + line.lstrip(_BLANKS)
        else:
            joined.append(bytearray(line))
            takes_more = line.find(b":") > 0 and line[:1] not in _BLANKS
    return joined


def _headers(lines: list[bytearray], notes: list[str]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the headers; lines that are none are passed over, as browsers do."""
    for line in lines:
        written, colon, after = bytes(line).partition(b":")
        name, value = written.strip(_BLANKS), after.strip(_BLANKS)
        if not colon or not _TOKEN.fullmatch(name) or written[:1] in _BLANKS:
            notes.append("header_line")
            continue
        if name != written:
            notes.append("header_name_space")
        if _CONTROL.search(value):
            notes.append("control_character")
        yield name, value
