"""Splits the output of a sandbox into lines, and decodes each; within limits, or with a fault."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec.json import Decoder

from safeurl.model.report import ArtefactLine, EvidenceLine, Line, ReportLine
from safeurl.state import Outcome

#: A JSON string, closed or not. Possessive, so that it takes linear time on any bytes.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_TO_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLimits:
    """The limits of a report. More lines or bytes are a fault; more evidence is left out."""

    max_line_bytes: int = 1024 * 1024
    max_total_bytes: int = 32 * 1024 * 1024
    max_lines: int = 10_000
    max_depth: int = 32
    max_artefact_bytes: int = 16 * 1024 * 1024
    max_artefacts: int = 16
    max_hops: int = 64
    max_refusals: int = 512


class ReportFaultError(Exception):
    """Ends the reading; the reader turns it into its fault."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        """Take the outcome of the attempt, and a sentence about the fault."""
        super().__init__(detail)
        self.outcome = outcome


class _Kind(msgspec.Struct):
    """The field by which lines of unknown types are distinguished from ours."""

    type: str


_KIND: Final = Decoder(_Kind)
_KNOWN: Final[Mapping[str, Decoder[EvidenceLine] | Decoder[ArtefactLine] | Decoder[ReportLine]]] = {
    "evidence": Decoder(EvidenceLine),
    "artefact": Decoder(ArtefactLine),
    "report": Decoder(ReportLine),
}


class LineSplitter:
    """Splits a stream into lines; holds at most one unfinished line, within its limit."""

    def __init__(self, limits: ReportLimits) -> None:
        """Start with an empty stream."""
        self._limits = limits
        self._unfinished = bytearray()
        self._bytes_left = limits.max_total_bytes
        self._lines_left = limits.max_lines

    def split(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the lines that end in `chunk`; the limits do not depend on the size of chunks."""
        stop = min(len(chunk), self._bytes_left)
        start = 0
        while (end := chunk.find(b"\n", start, stop)) >= 0:
            self._extend(chunk, start, end)
            yield self._cut()
            start = end + 1
        self._extend(chunk, start, stop)
        self._bytes_left -= stop
        if stop < len(chunk):
            raise too_large(f"The report is longer than {self._limits.max_total_bytes:,} bytes.")

    @property
    def has_rest(self) -> bool:
        """True if an unfinished line is held."""
        return bool(self._unfinished)

    def end(self) -> Iterator[bytes]:
        """Yield the last line if it has no newline."""
        if self._unfinished:
            yield self._cut()

    def _cut(self) -> bytes:
        self._lines_left -= 1
        if self._lines_left < 0:
            raise too_large(f"The report has more than {self._limits.max_lines:,} lines.")
        line = bytes(self._unfinished)
        self._unfinished.clear()
        return line

    def _extend(self, chunk: bytes, start: int, end: int) -> None:
        if len(self._unfinished) + end - start > self._limits.max_line_bytes:
            raise too_large(
                f"A line of the report is longer than {self._limits.max_line_bytes:,} bytes."
            )
        self._unfinished += memoryview(chunk)[start:end]


def malformed(detail: str) -> ReportFaultError:
    """Return the fault of a report that breaks a rule."""
    return ReportFaultError(Outcome.REPORT_MALFORMED, detail)


def too_large(detail: str) -> ReportFaultError:
    """Return the fault of a report that exceeds a limit."""
    return ReportFaultError(Outcome.REPORT_TOO_LARGE, detail)


def decode(line: bytes, max_depth: int) -> Line | None:
    """Return the line as one of our types, or None for a type of a later version."""
    if _is_too_deep(line, max_depth):
        raise malformed("A line of the report is nested too deeply, or its brackets do not match.")
    try:
        # The decoder does not check what it skips, so the whole line is checked here.
        line.decode()
        decoder = _KNOWN.get(_KIND.decode(line).type)
        return decoder.decode(line) if decoder else None
    except UnicodeDecodeError:
        raise malformed("A line of the report is not valid UTF-8.") from None
    except msgspec.DecodeError as error:
        raise malformed(f"A line of the report is not valid: {error}.") from None


def _is_too_deep(line: bytes, max_depth: int) -> bool:
    """Return whether brackets outside of strings nest deeper; each round removes one level."""
    brackets = _STRING.sub(b"", line).translate(_TO_BRACKETS, _NO_BRACKETS)
    for _ in range(max_depth):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)
