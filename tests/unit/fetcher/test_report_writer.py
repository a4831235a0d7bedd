"""Report lines are complete, in order and within their limits."""

import os
import threading

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.http.certificate import describe
from fetcher.http.head import Head
from fetcher.http.hop_recorder import HopRecorder
from fetcher.report_writer import MAX_LINE_BYTES, PIECE_BYTES, ReportWriter
from safeurl.model.report import (
    ArtefactLine,
    EvidenceLine,
    Form,
    Hop,
    Line,
    Link,
    Page,
    encode_line,
)
from tests.support.fetching import read_lines


class _Pipe:
    """Collects the lines of a `ReportWriter`."""

    def __init__(self) -> None:
        self._reader, writer = os.pipe()
        self.writer = ReportWriter(writer)
        self._data = bytearray()
        self._thread = threading.Thread(target=self._collect)
        self._thread.start()

    def _collect(self) -> None:
        while piece := os.read(self._reader, 65536):
            self._data += piece

    def lines(self) -> tuple[Line, ...]:
        os.close(self.writer.fd)
        self._thread.join()
        os.close(self._reader)
        assert all(len(line) < MAX_LINE_BYTES for line in bytes(self._data).splitlines())
        return read_lines(bytes(self._data))


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1])
def test_artefacts_are_cut_and_marked(size: int) -> None:
    """Every piece but the last is full; an empty artefact has no line."""
    pipe = _Pipe()
    data = os.urandom(size)
    pipe.writer.artefact("body", data, "text/plain")
    lines = [line for line in pipe.lines() if isinstance(line, ArtefactLine)]
    assert b"".join(line.data for line in lines) == data
    assert [line.last for line in lines] == [False] * (len(lines) - 1) + [True] * bool(size)


def test_the_lists_of_a_page_are_halved_until_its_line_fits() -> None:
    """The other fields remain, and `partial` contains the reason."""
    links = tuple(Link(url="\U0001f600" * 8000) for _ in range(512))
    forms = tuple(Form(action="x" * 8000, has_password=True) for _ in range(64))
    pipe = _Pipe()
    pipe.writer.page(Page(title="Large", links=links, forms=forms, links_total=512))
    (line,) = pipe.lines()
    assert isinstance(line, EvidenceLine)
    assert line.page is not None
    assert line.page.title == "Large"
    assert line.page.forms[0].has_password
    assert "too large" in line.page.partial


def test_a_hop_with_large_headers_fits() -> None:
    """Headers with characters of four bytes are shortened, and the hop says so."""
    headers = tuple((f"X-{n}", "\U0001f600" * 8000) for n in range(256))
    pipe = _Pipe()
    pipe.writer.hop(Hop(url="http://a.test/", headers=headers))
    (line,) = pipe.lines()
    assert isinstance(line, EvidenceLine)
    assert line.hop is not None
    assert line.hop.headers_truncated


@given(
    st.text(st.characters(), max_size=50),
    st.lists(
        st.tuples(st.text(st.characters(max_codepoint=127), max_size=600), st.binary(max_size=50)),
        max_size=300,
    ),
    st.integers(-5, 2000),
)
def test_any_head_makes_a_valid_hop(
    url: str, headers: list[tuple[str, bytes]], status: int
) -> None:
    """The worker accepts the line for any head that a server sends."""
    raw = tuple((name.encode(), value) for name, value in headers)
    recorder = HopRecorder(url, "host", 80, "submitted", head=Head(status, "HTTP/1.1", raw))
    recorder.error = url
    recorder.record_refusal("loopback", url)
    hop = recorder.evidence()
    assert msgspec.json.decode(encode_line(EvidenceLine(hop=hop)), type=EvidenceLine).hop == hop
    refusal = encode_line(EvidenceLine(refusal=recorder.refusal))
    assert msgspec.json.decode(refusal, type=EvidenceLine).refusal == recorder.refusal


@given(st.binary(max_size=300))
def test_any_certificate_is_described(der: bytes) -> None:
    """For bytes that are not a certificate only the hash is returned."""
    assert set(describe(der)) <= {"sha256"}
