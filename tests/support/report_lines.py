"""Lines of a report, and a reader that is fed with them."""

import hashlib
from collections.abc import Iterable

from safeurl.model.report import (
    ArtefactLine,
    Body,
    EvidenceLine,
    Favicon,
    Hop,
    Line,
    Page,
    Refusal,
    ReportLine,
    encode_line,
)
from safeurl.model.report_lines import ReportLimits
from safeurl.model.report_reader import ReportReader
from safeurl.model.sandbox import SinkResult
from safeurl.state import Outcome

HTML = b"<title>hello</title>"
HOP = Hop(url="http://example.com/", status=302, location="/next")
LAST_HOP = Hop(url="http://example.com/next", via="redirect", status=200)
BODY = Body(wire_bytes=len(HTML), size_bytes=len(HTML), sha256=hashlib.sha256(HTML).hexdigest())
PAGE = Page(title="hello \u2028 \U0001f600 [{")
ICON = Favicon(url="http://example.com/favicon.ico", error="There is none.")
REFUSAL = Refusal(host="10.0.0.1", port=80, rule="private")
REPORT = ReportLine(scan="s1", attempt=2, outcome=Outcome.OK)

VALID: tuple[Line, ...] = (
    EvidenceLine(hop=HOP),
    EvidenceLine(hop=LAST_HOP),
    EvidenceLine(body=BODY),
    ArtefactLine(kind="body", data=HTML[:5], media_type="text/html"),
    ArtefactLine(kind="favicon", data=b"icon", last=True, media_type="image/png"),
    EvidenceLine(page=PAGE),
    EvidenceLine(favicon=ICON),
    ArtefactLine(kind="body", data=HTML[5:], last=True),
    EvidenceLine(refusal=REFUSAL),
    REPORT,
)
REPORT_FIELDS = {"type": "report", "scan": "s1", "attempt": 2, "outcome": "ok"}
SMALL = ReportLimits(max_line_bytes=400, max_total_bytes=4000, max_lines=8, max_depth=5)


def encode(*lines: Line) -> bytes:
    """Return the lines as a fetcher writes them."""
    return b"".join(map(encode_line, lines))


def read(chunks: Iterable[bytes], limits: ReportLimits | None = None) -> ReportReader:
    """Feed the chunks until the reader refuses, then close it."""
    reader = ReportReader("s1", 2, limits)
    for chunk in chunks:
        if reader.feed(chunk) is SinkResult.REFUSED:
            break
    reader.close()
    return reader


def seen(reader: ReportReader) -> tuple[object, ...]:
    """Return all results of a reader."""
    return (
        reader.fault,
        reader.fault_detail,
        reader.report,
        reader.evidence(),
        reader.artefacts,
    )


def chunked(data: bytes, sizes: list[int]) -> list[bytes]:
    """Cut the data into pieces of these sizes, the rest in one."""
    chunks = []
    for size in sizes:
        chunks.append(data[:size])
        data = data[size:]
    return [*chunks, data]
