"""Head and framing of a response are read as in browsers, independent of packet sizes."""

import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fetcher.http.framing import body_reader, conflicting_header, framing_anomalies
from fetcher.http.head import MAX_HEAD_BYTES, Head, HeadReader, NotHttpError

_OK = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _OK + b"Transfer-Encoding: chunked\r\n\r\n"

_PARTS = st.sampled_from(
    [
        *(b"HTTP/1.1 200 OK\r\n", b"http/1.0 302Found\n", b"HTTP\r\n", b"\r\n", b"\n", b"\r", b" "),
        *(b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Content-Length: 7\n"),
        *(b"X: y\r\n", b"odd line\r\n", b" folded\r\n", b"Name : value\r\n", b"\0", b"\xff"),
        *(b"5\r\nhello\r\n", b"5;x=y\nhello\n", b"0\r\n\r\n", b"zz\r\n", b"hello", b"3 \r\n"),
    ]
)


def _read(pieces: Iterator[bytes]) -> tuple[object, ...]:
    """Return all results for one response: head, body, end, errors and anomalies."""
    reader = HeadReader()
    head = None
    try:
        for piece in pieces:
            head = reader.feed(piece)
            if head is not None:
                break
        head = head or reader.end()
    except NotHttpError as error:
        return (str(error), reader.rest + b"".join(pieces))
    if head is None:
        return ()
    body = body_reader(head)
    data = b"".join(map(body.feed, (reader.rest, *pieces)))
    state = (body.is_complete, body.may_end_with_connection, body.fault, tuple(body.anomalies))
    return (head, tuple(framing_anomalies(head)), conflicting_header(head), data, *state)


def _head(*lines: bytes, first: bytes = b"HTTP/1.1 200 OK") -> Head:
    head = HeadReader().feed(b"\r\n".join([first, *lines]) + b"\r\n\r\n")
    assert head is not None
    return head


@given(st.lists(_PARTS, max_size=16).map(b"".join), st.lists(st.integers(0, 200)))
@example(_CHUNKED + b"5\r", [])
@example(_CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", [])
def test_any_split_gives_the_same(data: bytes, cuts: list[int]) -> None:
    """In one piece, byte by byte, and split at any positions."""
    whole = _read(iter([data]))
    assert _read(data[n : n + 1] for n in range(len(data))) == whole
    ends = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    assert _read(data[a:b] for a, b in pairwise(ends)) == whole


@pytest.mark.parametrize(
    ("first", "status", "version"),
    [
        (b"HTTP/1.1 200 OK", 200, "HTTP/1.1"),
        (b"HTTP/1.1  302  Found", 302, "HTTP/1.1"),
        (b"HTTP/1.1 302Found", 302, "HTTP/1.1"),
        (b"HTTP/1.1\t302\tFound", 200, "HTTP/1.1"),
        (b"HTTP 404", 404, "HTTP/1.0"),
        (b"HTTP/2 404", 404, "HTTP/1.0"),
        (b"HTTP/2.0 404", 404, "HTTP/2.0"),
        (b"HTTP", 200, "HTTP/1.0"),
        (b"hTTp/1.1 OK", 200, "HTTP/1.1"),
        (b"HTTP/1.1 -302", 200, "HTTP/1.1"),
        (b"HTTP/1.1 0000000000000404", 404, "HTTP/1.1"),
        (b"HTTP/1.1 " + b"9" * 9000, 2**31 - 1, "HTTP/1.1"),
    ],
)
def test_status_lines(first: bytes, status: int, version: str) -> None:
    """The first number after a space is the status; without a number it is 200."""
    head = _head(first=first)
    assert (head.status, head.http_version) == (status, version)
    assert head.anomalies == (() if first == b"HTTP/1.1 200 OK" else ("status_line",))


@pytest.mark.parametrize(
    ("lines", "headers", "words"),
    [
        ([b"odd line", b"A: b"], [("A", "b")], ["header_line"]),
        ([b": x", b"A: b"], [("A", "b")], ["header_line"]),
        ([b" A: b"], [], ["header_line"]),
        ([b"A(: b"], [], ["header_line"]),
        ([b"A\xe4: b"], [], ["header_line"]),
        ([b"A \t: \t b \t"], [("A", "b")], ["header_name_space"]),
        ([b"A: b\x01c\x7f"], [("A", "b\x01c\x7f")], ["control_character"]),
        ([b"A: b", b" c", b"\td"], [("A", "b c d")], ["folded_header"]),
        ([b"A:", b" b"], [("A", "b")], ["folded_header"]),
        ([b"odd", b" b: c"], [], ["header_line"]),
        ([b"A: b\nB: c"], [("A", "b"), ("B", "c")], ["bare_lf"]),
        ([b"A: b\rB: c"], [("A", "b"), ("B", "c")], ["bare_cr"]),
        ([b"A: b", b"A: c"], [("A", "b"), ("A", "c")], []),
    ],
)
def test_header_lines(lines: list[bytes], headers: list[tuple[str, str]], words: list[str]) -> None:
    """An invalid header line is skipped and recorded."""
    head = _head(*lines)
    assert head.headers == tuple(headers)
    assert head.anomalies == tuple(words)


@pytest.mark.parametrize("junk", [b"\r\n", b"\r\n\r\n", b"\n", b"\xef\xbb\xbf", b"    "])
def test_up_to_four_bytes_before_the_head_are_skipped(junk: bytes) -> None:
    """They are skipped and recorded."""
    head = HeadReader().feed(junk + _OK + b"\r\n")
    assert head is not None
    assert head.anomalies == ("junk_before_head",)


@pytest.mark.parametrize(
    "data", [b"12345" + _OK, b"hello world", b"ICY 200 OK\r\n\r\n", _OK + b"A: \0\r\n\r\n"]
)
def test_bytes_that_are_not_a_head_raise_an_error(data: bytes) -> None:
    """No browser accepts these bytes as a response with a head."""
    with pytest.raises(NotHttpError):
        HeadReader().feed(data)


def test_a_head_has_a_limit() -> None:
    """The limit applies to complete and to incomplete heads."""
    line = b"A: " + b"x" * (MAX_HEAD_BYTES - len(_OK) - 7)
    assert HeadReader().feed(_OK + line + b"\r\n\r\n") is not None
    for end in (b"\r\n\r\n", b""):
        with pytest.raises(NotHttpError):
            HeadReader().feed(_OK + line + b"excess" + end)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([b"Content-Length: 5"], []),
        ([b"Transfer-Encoding: chunked"], []),
        ([b"Content-Length: +5"], ["content_length"]),
        ([b"Content-Length: 5", b"Content-Length: 5"], ["content_length"]),
        ([b"Content-Length: 5", b"Transfer-Encoding: chunked"], ["content_length"]),
        ([b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"], ["transfer_encoding"]),
        ([b"Transfer-Encoding: identity"], ["transfer_encoding"]),
        ([b"Transfer-Encoding: Chunked, foo"], ["transfer_encoding"]),
    ],
)
def test_invalid_framing_headers_are_anomalies(lines: list[bytes], words: list[str]) -> None:
    """The anomaly is recorded whether browsers accept the header or not."""
    assert list(framing_anomalies(_head(*lines))) == words


def test_chunked_coding_needs_http_1_1() -> None:
    """In HTTP/1.0 the chunk lines are part of the body."""
    head = _head(b"Transfer-Encoding: chunked", first=b"HTTP/1.0 200 OK")
    assert list(framing_anomalies(head)) == ["transfer_encoding"]
    assert body_reader(head).feed(b"0\r\n\r\n") == b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ([b"Content-Length: 5", b"Content-Length: 6"], "content-length"),
        ([b"Content-Length: 5, 6"], "content-length"),
        ([b"Content-Length: 5, 5"], ""),
        ([b"Transfer-Encoding: chunked", b"Content-Length: 5, 6"], ""),
        ([b"Location: /a", b"Location: /b"], "location"),
        ([b"Location: /a, /b"], ""),
        ([b"Location: ", b"Location: /b"], "location"),
        ([b"Content-Disposition: inline; filename=a,b"], "content-disposition"),
        ([b'Content-Disposition: inline; filename="a,\\",b"'], ""),
    ],
)
def test_headers_for_which_browsers_show_an_error(lines: list[bytes], name: str) -> None:
    """Contradictory values could show different pages to different readers."""
    assert conflicting_header(_head(*lines)) == name


@pytest.mark.parametrize(
    ("body", "data", "words"),
    [
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello", []),
        (b"5\nhello\n0\n\n", b"hello", ["chunk_line_end"]),
        (b"5;a=b\r\nhello\r\n0;c\r\nA: b\r\nodd\r\n\r\n", b"hello", []),
        (b"05  \r\nhello\r\n000\r\n\r\n", b"hello", ["chunk_size"]),
        (b"5\r\nhello\r\n5\r\nworl", b"helloworl", []),
        (b"5\r\nhelloX\r\n0\r\n\r\n", b"hello", ["chunk_framing"]),
        (b"5\r\nhello\r\n-5\r\nworld", b"hello", ["chunk_framing"]),
        (b"5\r\nhello\r\n\r\n0\r\n\r\n", b"hello", ["chunk_framing"]),
        (b"5\r\nhello\r\n0x5\r\nworld", b"hello", ["chunk_framing"]),
        (b"5\r\nhello\r\nffffffffffffffff\r\nworld", b"hello", ["chunk_framing"]),
        (b"5\r\nhello\r\n5\r\r\nworld", b"hello", ["chunk_framing"]),
        (b"5\r\nhello\r\n5;" + b"x" * 20_000 + b"\r\nworld", b"hello", ["chunk_framing"]),
        (b"0\r\n" + b"A: b\r\n" * 200_000, b"", ["chunk_framing"]),
    ],
    ids=lambda value: (
        re.sub(rb"[^!-~]", b"", value[:30]).decode() if isinstance(value, bytes) else ""
    ),
)
def test_chunks(body: bytes, data: bytes, words: list[str]) -> None:
    """The bytes before an error are kept."""
    reader = body_reader(_head(b"Transfer-Encoding: chunked"))
    assert reader.feed(body) == data
    assert reader.anomalies == words
    assert bool(reader.fault) == ("chunk_framing" in words)


@pytest.mark.parametrize(
    ("length", "data"),
    [
        (b"5", b"hello"),
        (b"0", b""),
        (b"-0", b""),
        (b"abc", b"hello world"),
        (b"", b"hello world"),
        (b"+5", b"hello world"),
        (b"-5", b"hello world"),
        (b"0x5", b"hello world"),
        (b"5.0", b"hello world"),
        (b"00000000000000000000005", b"hello"),
        (b"9223372036854775808", b"hello world"),
        (b"9" * 9000, b"hello world"),
    ],
)
def test_an_invalid_length_means_up_to_the_end(length: bytes, data: bytes) -> None:
    """Browsers read such a body to the end of the connection."""
    reader = body_reader(_head(b"Content-Length: " + length))
    assert reader.feed(b"hello world") == data
    assert reader.may_end_with_connection == (len(data) > 5)


@pytest.mark.parametrize("status", [204, 205, 304])
def test_some_responses_have_no_body(status: int) -> None:
    """Their headers make no difference."""
    head = _head(b"Content-Length: 5", first=b"HTTP/1.1 %d X" % status)
    reader = body_reader(head)
    assert reader.is_complete
    assert reader.feed(b"hello") == b""
