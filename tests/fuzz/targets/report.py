"""The output of a sandbox: read with two kinds of cuts, judged, stored and read again."""

from datetime import UTC, datetime

import msgspec

from safeurl.analysis import judge
from safeurl.model.report import Evidence
from safeurl.model.report_lines import ReportLimits
from safeurl.model.report_reader import ReportReader
from safeurl.model.sandbox import SinkResult
from safeurl.state import Outcome

#: Small, so that short inputs reach every limit.
_LIMITS = ReportLimits(
    max_line_bytes=2048,
    max_total_bytes=8192,
    max_lines=24,
    max_artefact_bytes=512,
    max_artefacts=3,
    max_hops=4,
    max_refusals=4,
)
_SEEN_AT = datetime(2026, 1, 2, tzinfo=UTC)
_FAULTS = (None, Outcome.REPORT_MALFORMED, Outcome.REPORT_TOO_LARGE)


def fuzz_report(data: bytes) -> None:
    """Check that reading raises no error, does not depend on the cuts, and gives valid evidence."""
    whole = _read(data, len(data) or 1)
    pieces = _read(data, 7)
    assert _seen(whole) == _seen(pieces)
    assert whole.fault in _FAULTS
    assert whole.fault_detail.isprintable()
    evidence = whole.evidence()
    stored = msgspec.json.encode(evidence)
    assert msgspec.json.decode(stored, type=Evidence) == evidence
    verdict = judge(evidence, url="https://example.com/", seen_at=_SEEN_AT)
    assert 0 <= verdict.score <= 100


def _read(data: bytes, size: int) -> ReportReader:
    reader = ReportReader("s1", 2, _LIMITS)
    for start in range(0, len(data), size):
        if reader.feed(data[start : start + size]) is SinkResult.REFUSED:
            break
    reader.close()
    return reader


def _seen(reader: ReportReader) -> tuple[object, ...]:
    return (
        reader.fault,
        reader.fault_detail,
        reader.report,
        reader.evidence(),
        reader.artefacts,
    )
