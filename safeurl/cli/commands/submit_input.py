"""Reads the input of `submit-scan`: arguments, files and standard input, line by line.

A line contains one or several URLs, perhaps between other words. Empty lines and lines that begin
with `#` are skipped. Text is UTF-8 or UTF-16, which Windows programs write.
"""

import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from safeurl.errors import RequestError

#: The rest of a longer line is dropped; any URL that can be scanned is far shorter.
MAX_LINE: Final = 16 * 1024
#: The number of bytes that are read ahead to detect the encoding.
_HEAD_BYTES: Final = 4096
_LEAST_HEAD: Final = 4
#: The least share of zero bytes among the high bytes of UTF-16: in a list of URLs nearly all are
#: zero. Without a byte order mark a larger share is required.
_ZEROS_MARKED, _ZEROS_UNMARKED = 1 / 8, 1 / 2


@dataclass(frozen=True, slots=True)
class Given:
    """A text that may contain URLs, and its source."""

    text: str
    #: The number of the line, from 1; None for an argument.
    line: int | None = None
    #: The name of the file as given; empty for standard input and arguments.
    file: str = ""
    #: False if the line has more than `MAX_LINE` characters: the rest may be part of a URL.
    is_complete: bool = True

    @property
    def place(self) -> str:
        """Return the source as text."""
        return " of ".join(filter(None, (f"line {self.line}" if self.line else "", self.file)))


def read_given(arguments: Sequence[str], files: Sequence[str]) -> Iterator[Given]:
    """Yield the given texts in the order of arguments, files and standard input.

    Raise RequestError if there are none, or if a file cannot be read.
    """
    reads_input = "-" in (*arguments, *files) or not (arguments or files)
    if reads_input and (sys.stdin is None or (not (arguments or files) and sys.stdin.isatty())):
        raise RequestError("Name at least one URL, or pipe a list of them.")
    with ExitStack() as stack:
        # All files are opened first: if one is missing, nothing is submitted.
        streams = [(stack.enter_context(_open(name)), name) for name in files if name != "-"]
        yield from (Given(each) for each in arguments if each != "-")
        for stream, name in streams:
            yield from read_lines(stream, name)
    if reads_input:
        yield from read_lines(sys.stdin.buffer, "")


def _open(name: str) -> BinaryIO:
    try:
        return Path(name).open("rb")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "its name holds a NUL"
        raise RequestError(f"The file {name!r} cannot be read: {why}.") from error


def read_lines(stream: BinaryIO, file: str) -> Iterator[Given]:
    """Yield the lines that are neither empty nor comments, one at a time."""
    text = _decoded(stream)
    number = 0
    while line := text.readline(MAX_LINE):
        number += 1
        is_complete = len(line) < MAX_LINE or line.endswith("\n")
        bare = line.strip().removeprefix("\ufeff").strip()
        while line and not line.endswith("\n"):
            line = text.readline(MAX_LINE)  # skip the rest of a line that is too long
        if (bare or not is_complete) and not bare.startswith("#"):
            yield Given(bare, number, file, is_complete)


def _decoded(stream: BinaryIO) -> io.TextIOWrapper:
    """Return the text of a stream, whose bytes show its encoding, with line feeds only.

    Bytes that are not valid text become surrogates, and a URL with surrogates is refused.
    """
    head = b""
    while len(head) < _LEAST_HEAD and (more := _read_some(stream)):
        head += more
    encoding = _encoding(head)
    errors = "surrogateescape" if encoding == "utf-8-sig" else "replace"
    joined = io.BufferedReader(_Joined(head, stream))
    return io.TextIOWrapper(joined, encoding=encoding, errors=errors, newline=None)


def _read_some(stream: BinaryIO) -> bytes:
    """Return the available bytes, for example of a pipe whose writer continues."""
    if isinstance(stream, io.BufferedReader):
        return stream.read1(_HEAD_BYTES)
    return stream.read(_HEAD_BYTES)


def _encoding(head: bytes) -> str:
    """Return UTF-16 if the bytes show it, else UTF-8 with or without a byte order mark."""
    high = {"utf-16-le": head[1::2], "utf-16-be": head[::2]}
    marks = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
    for encoding, zeros in high.items():
        is_marked = marks.get(head[:2]) == encoding
        units = len(zeros) - is_marked
        least = _ZEROS_MARKED if is_marked else _ZEROS_UNMARKED
        if units > 0 and zeros.count(0) >= least * units:
            return encoding
    return "utf-8-sig"


class _Joined(io.RawIOBase):
    """A stream that begins with the bytes that were read ahead."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        """Take the bytes and the stream; the stream is not closed here."""
        self._head = head
        self._stream = stream

    def readable(self) -> bool:
        """Return True."""
        return True

    # Any, because Python before 3.12 has no type for a buffer of bytes.
    def readinto(self, buffer: Any, /) -> int:
        """Read the available bytes, at most the size of the buffer."""
        target = memoryview(buffer).cast("B")
        data = self._head or _read_some(self._stream)
        count = min(len(target), len(data))
        target[:count] = data[:count]
        self._head = data[count:]
        return count
