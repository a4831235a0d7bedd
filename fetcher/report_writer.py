"""Writes the report line by line; each line is written as soon as it is ready."""

import os
from itertools import pairwise
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from fetcher.streams import ReportUnwrittenError
from safeurl.model.report import (
    READY_LINE,
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

#: Bytes of an artefact in one line, before base64.
PIECE_BYTES = 256 * 1024

#: Evidence that makes a longer line is shortened until it fits.
MAX_LINE_BYTES = 512 * 1024

_T = TypeVar("_T")
_LIST_FIELDS = ("links", "scripts", "iframes", "forms")


class ReportWriter(Struct, frozen=True):
    """Writes the lines of a report to a file descriptor."""

    fd: int

    def ready(self) -> None:
        """Write that everything is loaded; it precedes the report."""
        self._write_bytes(READY_LINE)

    def hop(self, hop: Hop) -> None:
        """Write the evidence of a hop; headers that do not fit into the line are left out."""
        while len(encode_line(EvidenceLine(hop=hop))) > MAX_LINE_BYTES:
            hop = replace(hop, headers=_first_half(hop.headers), headers_truncated=True)
        self._write(EvidenceLine(hop=hop))

    def refusal(self, refusal: Refusal) -> None:
        """Write that the address policy refused a connection."""
        self._write(EvidenceLine(refusal=refusal))

    def body(self, body: Body) -> None:
        """Write the evidence of the body."""
        self._write(EvidenceLine(body=body))

    def page(self, page: Page) -> None:
        """Write the evidence of the page; its lists are halved until the line fits."""
        while len(encode_line(EvidenceLine(page=page))) > MAX_LINE_BYTES:
            shorter = {name: _first_half(getattr(page, name)) for name in _LIST_FIELDS}
            reason = page.partial or "Lists were cut because the page's evidence was too large."
            page = replace(page, **shorter, partial=reason)
        self._write(EvidenceLine(page=page))

    def favicon(self, favicon: Favicon) -> None:
        """Write the evidence of the page's icon."""
        self._write(EvidenceLine(favicon=favicon))

    def artefact(self, kind: str, data: bytes, media_type: str) -> None:
        """Write an artefact in pieces; an empty one is left out."""
        cuts = [*range(0, len(data), PIECE_BYTES), len(data)]
        for start, end in pairwise(cuts):
            piece = data[start:end]
            last = end == len(data)
            self._write(ArtefactLine(kind=kind, data=piece, last=last, media_type=media_type))

    def report(self, line: ReportLine) -> None:
        """Write the last line of the report."""
        self._write(line)

    def _write(self, line: Line) -> None:
        self._write_bytes(encode_line(line))

    def _write_bytes(self, line: bytes) -> None:
        data = memoryview(line)
        try:
            while data:
                data = data[os.write(self.fd, data) :]
        except OSError as error:
            raise ReportUnwrittenError from error


def _first_half(items: tuple[_T, ...]) -> tuple[_T, ...]:
    return items[: len(items) // 2]
