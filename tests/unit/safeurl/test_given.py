"""The input of `submit-scan` from files and pipes: line ends, encodings, comments, length."""

import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from safeurl.cli.commands.submit_input import MAX_LINE, Given, read_given, read_lines
from safeurl.errors import RequestError

_URLS = ["https://a.example/x", "https://b.example/"]


def _read(tmp_path: Path, data: bytes) -> list[Given]:
    file = tmp_path / "list"
    file.write_bytes(data)
    return list(read_given([], [str(file)]))


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"%s\n%s\n", (1, 2)),
        (b"%s\r\n%s\r\n", (1, 2)),
        (b"%s\r%s\r", (1, 2)),
        (b"%s\n\n \t\n%s", (1, 4)),
        (b"# first\n  %s  \n#%s\n%s", (2, 4)),
        (b"\xef\xbb\xbf%s\n%s\n", (1, 2)),
        (b"\xef\xbb\xbf\xef\xbb\xbf# x\n%s\n\xef\xbb\xbf%s\n", (2, 3)),
        (b"%s\n%s\x1a\n", (1, 2)),
    ],
)
def test_lines_are_counted_as_an_editor_counts_them(
    tmp_path: Path, data: bytes, lines: tuple[int, int]
) -> None:
    """Every kind of line end, byte order marks, blank lines and comments."""
    filler = [b"https://c.example/"] if data.count(b"%s") > len(_URLS) else []
    first, second = (url.encode() for url in _URLS)
    found = _read(tmp_path, data % (first, *filler, second))
    assert [(each.text.rstrip("\x1a"), each.line) for each in found] == [
        *zip(_URLS, lines, strict=True)
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-8"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("url", ["https://a.example/x", "https://m\u00fcnchen.example/\u65e5"])
def test_unicode_of_windows_programs_is_read(
    tmp_path: Path, encoding: str, end: str, url: str
) -> None:
    """UTF-16 with a mark and without one, in either order of bytes."""
    found = _read(tmp_path, f"# list{end}{url}{end}b.example{end}".encode(encoding))
    assert [(each.text, each.line) for each in found] == [(url, 2), ("b.example", 3)]


def test_big_endian_with_a_mark(tmp_path: Path) -> None:
    """As some editors save it."""
    data = b"\xfe\xff" + "https://a.example/x\r\n".encode("utf-16-be")
    assert [each.text for each in _read(tmp_path, data)] == _URLS[:1]


@pytest.mark.parametrize("data", [b"\xff\xfe\x00\n%s", b"\xff\n%s", b"\x00\x00\x00\n%s"])
def test_bytes_that_are_no_text_spoil_their_line_alone(tmp_path: Path, data: bytes) -> None:
    """Text that only begins like UTF-16 is read as UTF-8, like its rest."""
    spoilt, good = _read(tmp_path, data % _URLS[0].encode())
    assert (good.text, good.line) == (_URLS[0], 2)
    assert spoilt.line == 1


def test_the_end_of_a_long_line_is_no_line(tmp_path: Path) -> None:
    """It is returned once, as incomplete, and the line numbers continue after it."""
    long = b"https://a.example/ " * MAX_LINE
    blank = b" " * MAX_LINE + b"https://a.example/"
    found = _read(tmp_path, b"\n".join((long, blank, b"#" * MAX_LINE + b"x", _URLS[0].encode())))
    assert [(each.line, each.is_complete) for each in found] == [(1, False), (2, False), (4, True)]
    assert max(len(each.text) for each in found) <= MAX_LINE


@pytest.mark.parametrize("name", ["missing", "", ".", "nul\0"])
def test_a_file_that_cannot_be_read_is_named_before_anything_is_taken(
    tmp_path: Path, name: str
) -> None:
    """The error is raised also if another file and the arguments are valid."""
    good = tmp_path / "good"
    good.write_text(_URLS[0], encoding="utf-8")
    with pytest.raises(RequestError, match="cannot be read"):
        next(read_given(["a.example"], [str(good), name and str(tmp_path / name)]))


class _Trickle(io.RawIOBase):
    """A pipe that gives one byte at a time."""

    def __init__(self, data: bytes) -> None:
        self._left = data

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Give the next byte."""
        byte, self._left = self._left[:1], self._left[1:]
        buffer[: len(byte)] = byte
        return len(byte)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_slow_pipe_gives_the_same_lines(encoding: str) -> None:
    """Characters and line ends may be cut anywhere."""
    data = "https://m\u00fcnchen.example/\r\nb.example\r\n".encode(encoding)
    stream = io.BufferedReader(_Trickle(data))
    texts = [each.text for each in read_lines(stream, "")]
    assert texts == ["https://m\u00fcnchen.example/", "b.example"]


def test_a_line_is_given_while_the_writer_goes_on(tmp_path: Path) -> None:
    """Nothing waits for the end of a list, so a long one costs no memory."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    taken = threading.Event()

    def write() -> None:
        with path.open("wb", buffering=0) as pipe:
            pipe.write(_URLS[0].encode() + b"\n")
            assert taken.wait(60)
            pipe.write(_URLS[1].encode() + b"\n")

    writer = threading.Thread(target=write)
    writer.start()
    lines: Iterator[Given] = read_given([], [str(path)])
    try:
        assert next(lines).text == _URLS[0]
    finally:
        taken.set()
    assert [each.text for each in lines] == _URLS[1:]
    writer.join()
