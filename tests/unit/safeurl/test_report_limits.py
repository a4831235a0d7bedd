"""The limits of a report: of lines, bytes, depth and artefacts."""

import tracemalloc

import pytest

from safeurl.model.report import (
    ArtefactLine,
    EvidenceLine,
)
from safeurl.model.report_lines import ReportLimits
from safeurl.model.report_reader import ReportReader
from safeurl.model.sandbox import SinkResult
from safeurl.state import Outcome
from tests.support.report_lines import HOP, REFUSAL, REPORT, SMALL, encode, read


def test_a_line_beyond_its_limit_is_too_large_and_is_not_kept() -> None:
    """A line without end is refused once its limit is passed, with or without its newline."""
    limit = SMALL.max_line_bytes
    exact = b'{"type":"later","x":"' + b"a" * (limit - 23) + b'"}'
    assert len(exact) == limit
    assert read([exact + b"\n"], SMALL).fault is None
    for data in (b"a" + exact + b"\n", b"a" * 3000):
        reader = ReportReader("s1", 2, SMALL)
        assert reader.feed(data) is SinkResult.REFUSED
        assert reader.feed(b"more") is SinkResult.REFUSED
        assert reader.fault is Outcome.REPORT_TOO_LARGE


def test_an_endless_line_does_not_fill_the_memory() -> None:
    """A report of 1 GB would be ended after its first megabyte; not even that is doubled."""
    chunk = b"a" * 65536
    reader = ReportReader("s1", 2)
    tracemalloc.start()
    fed = 1
    while reader.feed(chunk) is not SinkResult.REFUSED and fed < 16_384:
        fed += 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert reader.fault is Outcome.REPORT_TOO_LARGE
    assert fed == 17
    assert peak < 4 * 1024 * 1024


def test_the_total_is_limited() -> None:
    """Many small lines do not avoid the limit; the lines before it count."""
    line = encode(EvidenceLine(hop=HOP))
    limits = ReportLimits(max_total_bytes=3 * len(line))
    assert read([line * 3], limits).fault is None
    reader = read([line * 4], limits)
    assert reader.fault is Outcome.REPORT_TOO_LARGE
    assert len(reader.evidence().hops) == 3


def test_the_number_of_lines_is_limited() -> None:
    """Tiny lines cost time to decode, so they are counted."""
    limits = ReportLimits(max_lines=3)
    assert read([b'{"type":"x"}\n' * 3], limits).fault is None
    assert read([b'{"type":"x"}\n' * 4], limits).fault is Outcome.REPORT_TOO_LARGE
    assert read([b'{"type":"x"}\n' * 3 + b"{"], limits).fault is Outcome.REPORT_TOO_LARGE


def test_artefacts_are_limited_in_size_and_number() -> None:
    """A blob or a crowd of blobs beyond the limit ends the reading."""
    limits = ReportLimits(max_artefact_bytes=10, max_artefacts=2)
    pieces = [ArtefactLine(kind="dom", data=b"12345")] * 3
    assert read([encode(*pieces[:2])], limits).fault is None
    assert read([encode(*pieces)], limits).fault is Outcome.REPORT_TOO_LARGE
    crowd = [ArtefactLine(kind=kind, data=b"", last=True) for kind in ("a", "b", "c")]
    assert read([encode(*crowd)], limits).fault is Outcome.REPORT_TOO_LARGE


def test_hops_and_refusals_beyond_their_number_are_left_out() -> None:
    """A page that probes a whole network is judged by its first probes."""
    limits = ReportLimits(max_hops=2, max_refusals=3)
    lines = [EvidenceLine(hop=HOP)] * 5 + [EvidenceLine(refusal=REFUSAL)] * 5
    reader = read([encode(*lines, REPORT)], limits)
    assert reader.fault is None
    assert len(reader.evidence().hops) == 2
    assert len(reader.evidence().refusals) == 3


@pytest.mark.parametrize(
    "line",
    [b'"' + b'\\"' * 400_000, b'"\\' * 400_000, b"[]" * 400_000, b"[" * 400_000 + b"]" * 400_000],
    ids=["escaped quotes", "quotes and backslashes", "brackets", "nested brackets"],
)
def test_the_depth_check_is_linear(line: bytes) -> None:
    """Bytes that cause backtracking in a pattern end as an ordinary fault.

    Quadratic work on these would take hours, so the suite's own timeout would end the test.
    """
    assert read([line + b"\n"]).fault is Outcome.REPORT_MALFORMED
