"""Decompression asks for bounded pieces and never gives more than its cap."""

import zlib
from collections.abc import Iterator

import pytest

from fetcher.deadline import Deadline
from fetcher.decode import Capped, CapReachedError, CorruptBodyError, Pieces, encodings, unpacked
from fetcher.ending import FetchFailedError
from tests.support.routes import compress

_ENCODINGS = ("gzip", "deflate", "raw-deflate", "br", "zstd")
_TEXT = b"".join(b"%d " % n for n in range(50_000))


def _bytewise(data: bytes) -> Iterator[bytes]:
    return (data[n : n + 1] for n in range(len(data)))


def _read_all(wire: Iterator[bytes], names: tuple[str, ...], cap: int, size: int = 65536) -> bytes:
    source = unpacked(Pieces(wire), names, cap, Deadline.after(60))
    parts = []
    while part := source.read(size):
        assert len(part) <= size
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("encoding", _ENCODINGS)
@pytest.mark.parametrize("size", [7, 65536])
def test_any_piece_size_gives_the_same_text(encoding: str, size: int) -> None:
    """However the wire is cut and however little is asked for at a time."""
    name = "deflate" if encoding == "raw-deflate" else encoding
    text = _TEXT[:20_000]
    packed = compress(text, encoding)
    assert _read_all(iter([packed]), (name,), len(text), size) == text
    assert _read_all(_bytewise(packed), (name,), len(text), size) == text


@pytest.mark.parametrize("encoding", _ENCODINGS)
def test_the_cap_is_exact(encoding: str) -> None:
    """A body of the cap's size passes; one byte less of cap, and it is stopped."""
    name = "deflate" if encoding == "raw-deflate" else encoding
    packed = compress(_TEXT, encoding)
    assert _read_all(iter([packed]), (name,), len(_TEXT)) == _TEXT
    with pytest.raises(CapReachedError):
        _read_all(iter([packed]), (name,), len(_TEXT) - 1)


def test_encodings_stack() -> None:
    """The last one applied is the first to be undone."""
    packed = compress(compress(_TEXT, "br"), "gzip")
    assert _read_all(iter([packed]), ("br", "gzip"), len(_TEXT)) == _TEXT


def test_gzip_members_follow_each_other_and_padding_is_ignored() -> None:
    """RFC 1952 allows several members; servers append zeros."""
    packed = compress(b"one ", "gzip") + compress(b"two", "gzip") + bytes(100)
    assert _read_all(iter([packed]), ("gzip",), 1000) == b"one two"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_garbage_is_corrupt(encoding: str) -> None:
    """What the library says becomes our own error."""
    with pytest.raises(CorruptBodyError):
        _read_all(iter([b"\xff" * 100]), (encoding,), 1000)


@pytest.mark.parametrize("encoding", _ENCODINGS)
def test_a_cut_archive_gives_what_it_holds(encoding: str) -> None:
    """The end is missing: the beginning is read."""
    name = "deflate" if encoding == "raw-deflate" else encoding
    packed = compress(_TEXT, encoding)
    assert _TEXT.startswith(_read_all(iter([packed[:-20]]), (name,), len(_TEXT)))


def test_zstd_windows_beyond_what_browsers_take_are_refused() -> None:
    """A frame header that asks for 2 GiB of window."""
    frame = b"\x28\xb5\x2f\xfd\x00" + bytes([21 << 3]) + b"\x01\x00\x00"
    with pytest.raises(CorruptBodyError):
        _read_all(iter([frame]), ("zstd",), 1000)


def test_unknown_encodings_are_ignored_and_too_many_are_not() -> None:
    """As in browsers; ten layers are no honest server's."""
    assert encodings(" GZIP , identity,foo, br") == ("gzip", "br")
    assert encodings("") == ()
    with pytest.raises(CorruptBodyError):
        encodings("gzip, gzip, gzip, gzip")


def test_the_deadline_stops_unpacking() -> None:
    """A body that only costs time is stopped by time."""
    wire = Pieces(iter([zlib.compress(_TEXT)]))
    with pytest.raises(FetchFailedError):
        unpacked(wire, ("deflate",), len(_TEXT), Deadline.after(-1)).read(10)


def test_capped_counts() -> None:
    """The count is what passed, the cap included."""
    capped = Capped(Pieces(iter([b"abc", b"def"])), 6, Deadline.after(60))
    assert [capped.read(2), capped.read(), capped.read(), capped.read()] == [
        b"ab",
        b"c",
        b"def",
        b"",
    ]
    assert capped.count == 6
