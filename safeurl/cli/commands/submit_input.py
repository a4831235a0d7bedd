"""What `submit-scan` is given: arguments, files and standard input, read line by line.

A line holds one URL or several, with or without words around. Empty lines and lines that begin
with `#` are passed over. Text is UTF-8 or, as Windows programs write it, UTF-16.
"""

import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from safeurl.errors import RequestError

#: More of a line than this is not kept; any URL that can be scanned is far shorter.
MAX_LINE: Final = 16 * 1024
#: Read ahead to tell the encoding.
_HEAD_BYTES: Final = 4096
_LEAST_HEAD: Final = 4
#: Part of UTF-16's high bytes that are zero at least: of a list of URLs nearly all are, whatever
#: its host names' script; without a byte order mark more is asked for.
_ZEROS_MARKED, _ZEROS_UNMARKED = 1 / 8, 1 / 2


@dataclass(frozen=True, slots=True)
class Given:
    """A text that may hold URLs, and where it is from."""

    text: str
    #: Counted from 1; None for an argument.
    line: int | None = None
    #: The file's name as it was given; empty for standard input and arguments.
    file: str = ""
    #: False where more than `MAX_LINE` characters were read: what was cut off may be of a URL.
    is_whole: bool = True

    @property
    def place(self) -> str:
        """Return where it stands, in words."""
        return " of ".join(filter(None, (f"line {self.line}" if self.line else "", self.file)))


def read_given(arguments: Sequence[str], files: Sequence[str]) -> Iterator[Given]:
    """Yield what was given, in the order of arguments, files and standard input.

    Raises RequestError where nothing was given and for a file that cannot be read.
    """
    reads_input = "-" in (*arguments, *files) or not (arguments or files)
    if reads_input and (sys.stdin is None or (not (arguments or files) and sys.stdin.isatty())):
        raise RequestError("Name at least one URL, or pipe a list of them.")
    with ExitStack() as stack:
        # All of them first: where one is missing, nothing is handed in.
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
        is_whole = len(line) < MAX_LINE or line.endswith("\n")
        bare = line.strip().removeprefix("\ufeff").strip()
        while line and not line.endswith("\n"):
            line = text.readline(MAX_LINE)  # the rest of a line that is too long
        if (bare or not is_whole) and not bare.startswith("#"):
            yield Given(bare, number, file, is_whole)


def _decoded(stream: BinaryIO) -> io.TextIOWrapper:
    """Return the text of a stream whose bytes tell their encoding, with line feeds only.

    Bytes that are no text become surrogates, with which a URL is refused.
    """
    head = b""
    while len(head) < _LEAST_HEAD and (more := _read_some(stream)):
        head += more
    encoding = _encoding(head)
    errors = "surrogateescape" if encoding == "utf-8-sig" else "replace"
    joined = io.BufferedReader(_Joined(head, stream))
    return io.TextIOWrapper(joined, encoding=encoding, errors=errors, newline=None)


def _read_some(stream: BinaryIO) -> bytes:
    """Return what is there, as of a pipe whose writer goes on."""
    if isinstance(stream, io.BufferedReader):
        return stream.read1(_HEAD_BYTES)
    return stream.read(_HEAD_BYTES)


def _encoding(head: bytes) -> str:
    """Return UTF-16 where the bytes say so, else UTF-8 with or without its mark."""
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
    """What was read ahead, and behind it the rest of the stream."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        """Take the bytes first; the stream is not closed here."""
        self._head = head
        self._stream = stream

    def readable(self) -> bool:
        """Say yes."""
        return True

    # Any, because Python has no name for what holds bytes before 3.12.
    def readinto(self, buffer: Any, /) -> int:
        """Give what is there, at most as much as there is room for."""
        room = memoryview(buffer).cast("B")
        data = self._head or _read_some(self._stream)
        count = min(len(room), len(data))
        room[:count] = data[:count]
        self._head = data[count:]
        return count
