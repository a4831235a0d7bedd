"""Decompression works in pieces of limited size and stops at its limit."""

import zlib
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.content.inflate import CorruptBodyError
from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError
from fetcher.http.decode import (
    CappedSource,
    CapReachedError,
    IteratorSource,
    decompressed,
    parse_encodings,
)
from tests.support.routes import compress

_ENCODINGS = ("gzip", "deflate", "raw-deflate", "br", "zstd")
_TEXT = b"".join(b"%d " % n for n in range(50_000))


def _bytewise(data: bytes) -> Iterator[bytes]:
    return (data[n : n + 1] for n in range(len(data)))


def _read_all(
    wire: Iterator[bytes],
    names: tuple[str, ...],
    cap: int,
    size: int = 65536,
    anomalies: list[str] | None = None,
) -> bytes:
    source = decompressed(
        IteratorSource(wire), names, cap, Deadline.after(60), [] if anomalies is None else anomalies
    )
    parts = []
    while part := source.read(size):
        assert len(part) <= size
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("encoding", _ENCODINGS)
@pytest.mark.parametrize("size", [7, 65536])
def test_any_piece_size_gives_the_same_text(encoding: str, size: int) -> None:
    """The text does not depend on the packets or on the size of the reads."""
    name = "deflate" if encoding == "raw-deflate" else encoding
    text = _TEXT[:20_000]
    packed = compress(text, encoding)
    assert _read_all(iter([packed]), (name,), len(text), size) == text
    assert _read_all(_bytewise(packed), (name,), len(text), size) == text


@pytest.mark.parametrize("encoding", _ENCODINGS)
def test_the_cap_is_exact(encoding: str) -> None:
    """A body of exactly the limit is read; with one byte less, reading stops."""
    name = "deflate" if encoding == "raw-deflate" else encoding
    packed = compress(_TEXT, encoding)
    assert _read_all(iter([packed]), (name,), len(_TEXT)) == _TEXT
    with pytest.raises(CapReachedError):
        _read_all(iter([packed]), (name,), len(_TEXT) - 1)


def test_encodings_stack() -> None:
    """The encoding that was applied last is removed first."""
    packed = compress(compress(_TEXT, "br"), "gzip")
    assert _read_all(iter([packed]), ("br", "gzip"), len(_TEXT)) == _TEXT


_GZIP = compress(b"text", "gzip")
_FLAGGED = _GZIP[:3] + b"\x1f" + _GZIP[4:10] + b"\x03\0abcname\0comment\0\x12\x34" + _GZIP[10:]
_LIED = _GZIP[:3] + b"\xe0" + _GZIP[4:]


@pytest.mark.parametrize(
    ("packed", "text", "words"),
    [
        (_GZIP, b"text", []),
        (_GZIP + bytes(100), b"text", []),
        (_FLAGGED, b"text", []),
        (_LIED, b"text", ["gzip_header"]),
        (_GZIP[:-8] + bytes(4) + _GZIP[-4:], b"text", ["gzip_trailer"]),
        (_GZIP[:-4] + bytes(4), b"text", ["gzip_trailer"]),
        (_GZIP[:-8], b"text", ["gzip_trailer"]),
        (_GZIP[:-1], b"text", ["gzip_trailer"]),
        (_GZIP + _GZIP, b"text", ["gzip_excess"]),
        (_GZIP + b"junk", b"text", ["gzip_excess"]),
        (_GZIP[:5], b"", []),
        (_FLAGGED[:15], b"", []),
        (b"", b"", []),
    ],
)
def test_an_error_in_the_gzip_frame_does_not_affect_the_text(
    packed: bytes, text: bytes, words: list[str]
) -> None:
    """As in browsers, only the first member is used; anomalies are recorded for any packets."""
    for wire in (iter([packed]), _bytewise(packed), filter(None, [packed[:-9], packed[-9:]])):
        anomalies: list[str] = []
        assert _read_all(wire, ("gzip",), 1000, anomalies=anomalies) == text
        assert anomalies == words


@pytest.mark.parametrize("size", [7, 65536])
@pytest.mark.parametrize("text", [b"text", _TEXT])
def test_bytes_after_a_brotli_stream_are_ignored(text: bytes, size: int) -> None:
    """The text is complete although the library reports an error for the bytes after it."""
    packed = compress(text, "br") + b"junk" * 100
    assert _read_all(iter([packed]), ("br",), len(text), size) == text
    assert _read_all(_bytewise(packed), ("br",), len(text), size) == text


def test_a_zlib_check_sum_is_not_compared() -> None:
    """Browsers ignore the checksum, and so does the fetcher."""
    packed = zlib.compress(_TEXT)
    for changed in (packed[:-4] + bytes(4), packed[:-4], packed + b"junk"):
        assert _read_all(iter([changed]), ("deflate",), len(_TEXT)) == _TEXT


@given(st.integers(0, 2000), st.binary(max_size=8), st.lists(st.integers(0, 4000)))
@pytest.mark.parametrize("encoding", _ENCODINGS)
def test_an_error_has_the_same_effect_in_any_split(
    encoding: str, position: int, fault: bytes, cuts: list[int]
) -> None:
    """The text before the error and the kind of failure are the same for any packets."""
    name = "deflate" if encoding == "raw-deflate" else encoding
    packed = bytearray(compress(_TEXT[:5000], encoding))
    packed[position : position + len(fault)] = fault
    ends = sorted({0, len(packed), *(cut for cut in cuts if cut < len(packed))})
    splits = (
        [bytes(packed)],
        list(_bytewise(bytes(packed))),
        [bytes(packed[a:b]) for a, b in pairwise(ends)],
    )
    results = []
    for split in splits:
        anomalies: list[str] = []
        source = decompressed(
            IteratorSource(iter(split)), (name,), 100_000, Deadline.after(60), anomalies
        )
        read: list[bytes] = []
        try:
            read += iter(partial(source.read, 65536), b"")
        except CorruptBodyError as error:
            anomalies.append(str(error))
        results.append((read, anomalies))
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_garbage_is_corrupt(encoding: str) -> None:
    """An exception of the library becomes a `CorruptBodyError`."""
    with pytest.raises(CorruptBodyError):
        _read_all(iter([b"\xff" * 100]), (encoding,), 1000)


@pytest.mark.parametrize("encoding", _ENCODINGS)
def test_a_truncated_body_is_read_up_to_its_end(encoding: str) -> None:
    """The text before the truncation is returned."""
    name = "deflate" if encoding == "raw-deflate" else encoding
    packed = compress(_TEXT, encoding)
    assert _TEXT.startswith(_read_all(iter([packed[:-20]]), (name,), len(_TEXT)))


def test_zstd_windows_that_browsers_refuse_are_refused() -> None:
    """The frame header requests a window of 2 GiB."""
    frame = b"\x28\xb5\x2f\xfd\x00" + bytes([21 << 3]) + b"\x01\x00\x00"
    with pytest.raises(CorruptBodyError):
        _read_all(iter([frame]), ("zstd",), 1000)


@pytest.mark.parametrize(
    "text", ["", "foo", "gzip, foo", "foo, gzip", "identity, gzip", "gzip,", ",gzip", "gzip;q=1"]
)
def test_one_unknown_encoding_disables_decompression(text: str) -> None:
    """As in browsers, one unknown encoding disables all of them."""
    assert parse_encodings(text) == ()


def test_encodings_are_listed_in_order_and_limited() -> None:
    """More encodings than a legitimate server applies are an error."""
    assert parse_encodings(" GZIP , x-gzip, deflate,br") == ("gzip", "x-gzip", "deflate", "br")
    with pytest.raises(CorruptBodyError):
        parse_encodings(", ".join(["gzip"] * 10))


def test_the_deadline_stops_decompression() -> None:
    """The deadline also applies to a body that takes long to decompress."""
    wire = IteratorSource(iter([zlib.compress(_TEXT)]))
    with pytest.raises(FetchFailedError):
        decompressed(wire, ("deflate",), len(_TEXT), Deadline.after(-1), []).read(10)


def test_a_capped_source_counts() -> None:
    """The count includes all bytes up to the limit."""
    capped = CappedSource(IteratorSource(iter([b"abc", b"def"])), 6, Deadline.after(60))
    assert [capped.read(2), capped.read(), capped.read(), capped.read()] == [
        b"ab",
        b"cdef",
        b"",
        b"",
    ]
    assert capped.count == 6
