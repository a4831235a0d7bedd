"""Reading what a sandbox writes: hostile bytes in, evidence and artefacts or a named fault out.

Nothing here raises, blocks or keeps more than its limits, whatever comes in and however it is
cut into chunks. What was read before a fault stays: a page that breaks its own report has
already said something.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from socket import AF_INET6, inet_ntop
from typing import Final

import msgspec
from msgspec.json import Decoder
from msgspec.structs import replace

from safeurl.model.report import (
    ArtefactLine,
    Body,
    Evidence,
    EvidenceLine,
    Favicon,
    Hop,
    Line,
    Page,
    Refusal,
    ReportLine,
)
from safeurl.state import Outcome

#: Outcomes that only the worker can know. A fetcher that claims one lies, and some are retried.
_NOT_FOR_FETCHERS: Final = frozenset(
    {
        Outcome.WALL_TIMEOUT,
        Outcome.REPORT_MALFORMED,
        Outcome.REPORT_TOO_LARGE,
        Outcome.CANCELLED,
        Outcome.SANDBOX_UNAVAILABLE,
        Outcome.LEASE_LOST,
    }
)

#: A JSON string, closed or not. Possessive, so that it takes linear time on any bytes.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_TO_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))

_MAX_DETAIL: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLimits:
    """What a report may hold. More lines or bytes are a fault; more evidence is left out."""

    max_line_bytes: int = 1024 * 1024
    max_total_bytes: int = 32 * 1024 * 1024
    max_lines: int = 10_000
    max_depth: int = 32
    max_artefact_bytes: int = 16 * 1024 * 1024
    max_artefacts: int = 16
    max_hops: int = 64
    max_refusals: int = 512


class _FaultError(Exception):
    """Ends the reading; never leaves this module."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome


class _Kind(msgspec.Struct):
    """The one field by which lines of unknown types are told from ours."""

    type: str


_KIND: Final = Decoder(_Kind)
_KNOWN: Final[Mapping[str, Decoder[EvidenceLine] | Decoder[ArtefactLine] | Decoder[ReportLine]]] = {
    "evidence": Decoder(EvidenceLine),
    "artefact": Decoder(ArtefactLine),
    "report": Decoder(ReportLine),
}


class ReportReader:
    """Takes one sandbox's stdout and keeps what can be believed to be its form, not its truth."""

    def __init__(self, scan_id: str, attempt: int, limits: ReportLimits | None = None) -> None:
        """Expect the report of this attempt of this scan."""
        self._scan_id = scan_id
        self._attempt = attempt
        self._limits = limits or ReportLimits()
        self._lines = _Lines(self._limits)
        self._gathered = _Gathered(self._limits)
        self._is_closed = False
        #: `report_malformed` or `report_too_large`; None while nothing is wrong.
        self.fault: Outcome | None = None
        #: The fault in one sentence; it may quote the sandbox, in printable characters.
        self.fault_detail = ""

    @property
    def report(self) -> ReportLine | None:
        """The report line, once it has come; there may be a fault after it."""
        return self._gathered.report

    @property
    def artefacts(self) -> list[tuple[str, str, bytes]]:
        """Kind, media type and bytes of each blob that came whole, in the order they ended.

        Without a body that is not the one the evidence speaks of, however the report ended.
        """
        return [(box.kind, box.media_type, bytes(box.data)) for box in self._gathered.believed()]

    def evidence(self) -> Evidence:
        """Return what has come so far."""
        return self._gathered.evidence()

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; False says to stop reading and end the sandbox."""
        if self._is_closed or self.fault:
            return False
        self._take_all(self._lines.split(chunk))
        return self.fault is None

    def close(self) -> None:
        """Note the end of the stream.

        A last line without its newline counts like any other. One that was cut short is thus
        `report_malformed`: how the sandbox ended (killed, out of memory) is to be asked first.
        """
        if not self._is_closed and not self.fault:
            self._take_all(self._lines.end())
        self._is_closed = True

    def _take_all(self, lines: Iterator[bytes]) -> None:
        try:
            for line in lines:
                self._take(line)
        except _FaultError as fault:
            self.fault = fault.outcome
            text = str(fault)[:_MAX_DETAIL]
            self.fault_detail = "".join(char if char.isprintable() else "\ufffd" for char in text)

    def _take(self, line: bytes) -> None:
        if self.report is not None:
            raise _malformed("The sandbox wrote on after its report line.")
        item = _decode(line, self._limits.max_depth)
        if isinstance(item, ReportLine):
            self._check_claims(item)
        if item is not None:
            self._gathered.add(item)

    def _check_claims(self, report: ReportLine) -> None:
        if (report.scan, report.attempt) != (self._scan_id, self._attempt):
            raise _malformed("The report names another scan or attempt than its own.")
        if report.outcome in _NOT_FOR_FETCHERS:
            raise _malformed(f"The report claims {report.outcome}, which a fetcher cannot know.")


class _Lines:
    """Cuts a stream into lines; holds at most one unfinished line, within its limit."""

    def __init__(self, limits: ReportLimits) -> None:
        self._limits = limits
        self._unfinished = bytearray()
        self._bytes_left = limits.max_total_bytes
        self._lines_left = limits.max_lines

    def split(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the lines that end in `chunk`; the limits fall on the same byte however cut."""
        stop = min(len(chunk), self._bytes_left)
        start = 0
        while (end := chunk.find(b"\n", start, stop)) >= 0:
            self._extend(chunk, start, end)
            yield self._cut()
            start = end + 1
        self._extend(chunk, start, stop)
        self._bytes_left -= stop
        if stop < len(chunk):
            raise _too_large(f"The report is longer than {self._limits.max_total_bytes:,} bytes.")

    def end(self) -> Iterator[bytes]:
        """Yield the last line where it came without its newline."""
        if self._unfinished:
            yield self._cut()

    def _cut(self) -> bytes:
        self._lines_left -= 1
        if self._lines_left < 0:
            raise _too_large(f"The report has more than {self._limits.max_lines:,} lines.")
        line = bytes(self._unfinished)
        self._unfinished.clear()
        return line

    def _extend(self, chunk: bytes, start: int, end: int) -> None:
        if len(self._unfinished) + end - start > self._limits.max_line_bytes:
            raise _too_large(
                f"A line of the report is longer than {self._limits.max_line_bytes:,} bytes."
            )
        self._unfinished += memoryview(chunk)[start:end]


@dataclass(slots=True)
class _Box:
    """A blob in the making."""

    kind: str
    media_type: str
    data: bytearray = field(default_factory=bytearray)
    is_whole: bool = False


class _Gathered:
    """What the lines have said so far."""

    def __init__(self, limits: ReportLimits) -> None:
        self._limits = limits
        self._hops: list[Hop] = []
        self._refusals: list[Refusal] = []
        self._body: Body | None = None
        self._page: Page | None = None
        self._favicon: Favicon | None = None
        self._boxes: dict[str, _Box] = {}
        self._whole: list[_Box] = []
        self.report: ReportLine | None = None

    def evidence(self) -> Evidence:
        """Return the evidence as it is stored; the icon is the page's."""
        page = self._page
        if page is not None and self._favicon is not None:
            page = replace(page, favicon=self._favicon)
        return Evidence(
            hops=tuple(self._hops),
            body=self._body,
            page=page,
            refusals=tuple(self._refusals),
            report=self.report,
        )

    def add(self, item: Line) -> None:
        """Add a line."""
        match item:
            case EvidenceLine():
                self._add_evidence(item)
            case ArtefactLine():
                self._add_piece(item)
            case ReportLine():
                if not all(map(self._is_as_reported, self._whole)):
                    raise _malformed(
                        "The body that came is not the one whose SHA-256 was reported."
                    )
                self.report = item

    def believed(self) -> list[_Box]:
        """Return what came whole and is what the evidence says it is."""
        return [box for box in self._whole if self._is_as_reported(box)]

    def _add_evidence(self, line: EvidenceLine) -> None:
        parts = (line.hop, line.body, line.page, line.favicon, line.refusal)
        if sum(part is not None for part in parts) != 1:
            raise _malformed("An evidence line does not hold exactly one piece of evidence.")
        if not all(map(_is_address, _addresses(line))):
            raise _malformed("An address of the report is not one, or is not written as one is.")
        # A page may cause any number of hops and refusals; the first ones are enough to judge it.
        if line.hop is not None and len(self._hops) < self._limits.max_hops:
            self._hops.append(line.hop)
        if line.refusal is not None and len(self._refusals) < self._limits.max_refusals:
            self._refusals.append(line.refusal)
        self._body = line.body or self._body
        self._page = line.page or self._page
        self._favicon = line.favicon or self._favicon

    def _add_piece(self, piece: ArtefactLine) -> None:
        box = self._boxes.setdefault(piece.kind, _Box(piece.kind, piece.media_type))
        if len(self._boxes) > self._limits.max_artefacts:
            raise _too_large(f"The report has more than {self._limits.max_artefacts} artefacts.")
        if box.is_whole:
            raise _malformed(f"The artefact {piece.kind!r} goes on after its last piece.")
        if len(box.data) + len(piece.data) > self._limits.max_artefact_bytes:
            raise _too_large(
                f"An artefact is larger than {self._limits.max_artefact_bytes:,} bytes."
            )
        box.data += piece.data
        if piece.last:
            box.is_whole = True
            self._whole.append(box)

    def _is_as_reported(self, box: _Box) -> bool:
        """Tell whether a blob is not a body, or is the body that the evidence speaks of."""
        if box.kind != "body" or self._body is None:
            return True
        return hashlib.sha256(box.data).hexdigest() == self._body.sha256


def _addresses(line: EvidenceLine) -> Iterator[str]:
    """Yield every address that a line speaks of."""
    if line.hop is not None:
        yield from line.hop.addresses
        if line.hop.address is not None:
            yield line.hop.address
    if line.refusal is not None and line.refusal.address:
        yield line.refusal.address


def _is_address(text: str) -> bool:
    """Tell whether the text is an address as Python, the C library or a browser writes it.

    They differ in IPv6 addresses that carry an IPv4 one.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False
    spellings = {str(address)}
    if isinstance(address, IPv6Address):
        spellings.add(inet_ntop(AF_INET6, address.packed))
        if (inner := address.ipv4_mapped) is not None:
            spellings.add(f"::ffff:{int(inner) >> 16:x}:{int(inner) & 0xFFFF:x}")
    return text in spellings


def _malformed(detail: str) -> _FaultError:
    return _FaultError(Outcome.REPORT_MALFORMED, detail)


def _too_large(detail: str) -> _FaultError:
    return _FaultError(Outcome.REPORT_TOO_LARGE, detail)


def _decode(line: bytes, max_depth: int) -> Line | None:
    """Return the line as one of our types, or None for a type of a later version."""
    if _is_too_deep(line, max_depth):
        raise _malformed("A line of the report is nested too deeply, or its brackets do not match.")
    try:
        # What the decoder skips it does not check, so the whole line is checked here.
        line.decode()
        decoder = _KNOWN.get(_KIND.decode(line).type)
        return decoder.decode(line) if decoder else None
    except UnicodeDecodeError:
        raise _malformed("A line of the report is not valid UTF-8.") from None
    except msgspec.DecodeError as error:
        raise _malformed(f"A line of the report is not valid: {error}.") from None


def _is_too_deep(line: bytes, max_depth: int) -> bool:
    """Tell whether brackets outside of strings nest deeper; each round takes off one level."""
    brackets = _STRING.sub(b"", line).translate(_TO_BRACKETS, _NO_BRACKETS)
    for _ in range(max_depth):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)
