"""Reads the output of a sandbox: hostile bytes in; evidence and artefacts, or a named fault, out.

For all bytes and all sizes of chunks, this module raises no error, does not block, and stores no
more than its limits. Evidence before a fault is kept, because a page that breaks its own report has
already given some.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from socket import AF_INET6, inet_ntop
from typing import Final

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
from safeurl.model.report_lines import (
    LineSplitter,
    ReportFaultError,
    ReportLimits,
    decode,
    malformed,
    too_large,
)
from safeurl.model.sandbox import SinkResult
from safeurl.state import Outcome

#: Outcomes that only the worker can know. A fetcher must not report them: some cause a retry.
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

_MAX_DETAIL: Final = 300


class ReportReader:
    """Reads the stdout of one sandbox; checks the form of the report, not its truth."""

    def __init__(self, scan_id: str, attempt: int, limits: ReportLimits | None = None) -> None:
        """Expect the report of this attempt of this scan."""
        self._scan_id = scan_id
        self._attempt = attempt
        self._limits = limits or ReportLimits()
        self._lines = LineSplitter(self._limits)
        self._content = _Content(self._limits)
        self._is_closed = False
        #: `report_malformed` or `report_too_large`; None while nothing is wrong.
        self.fault: Outcome | None = None
        #: The fault in one sentence; it may quote the sandbox, in printable characters.
        self.fault_detail = ""

    @property
    def report(self) -> ReportLine | None:
        """The report line, if it was read; a fault may follow it."""
        return self._content.report

    @property
    def artefacts(self) -> list[tuple[str, str, bytes]]:
        """Kind, media type and bytes of each complete artefact, in the order of their ends.

        A body with another SHA-256 than that of the evidence is left out.
        """
        return [(each.kind, each.media_type, bytes(each.data)) for each in self._content.matching()]

    def evidence(self) -> Evidence:
        """Return the evidence that was read so far."""
        return self._content.evidence()

    def feed(self, chunk: bytes) -> SinkResult:
        """Read the next bytes.

        The report is complete with its own line. Bytes that came with the end of this line are
        still read, and are a fault.
        """
        if self._is_closed or self.fault:
            return SinkResult.REFUSED
        self._take_all(self._lines.split(chunk))
        if self.report is not None and self._lines.has_rest:
            self._set_fault(_more_after_report())
        if self.fault:
            return SinkResult.REFUSED
        return SinkResult.MORE if self.report is None else SinkResult.ENOUGH

    def close(self) -> None:
        """Read the end of the stream.

        A last line without its newline counts like any other. A truncated line is therefore
        `report_malformed`: check the end of the sandbox (killed, out of memory) first.
        """
        if not self._is_closed and not self.fault:
            self._take_all(self._lines.end())
        self._is_closed = True

    def _take_all(self, lines: Iterator[bytes]) -> None:
        try:
            for line in lines:
                self._take(line)
        except ReportFaultError as fault:
            # After the report, each further byte is a fault.
            self._set_fault(fault if self.report is None else _more_after_report())

    def _set_fault(self, fault: ReportFaultError) -> None:
        self.fault = fault.outcome
        text = str(fault)[:_MAX_DETAIL]
        self.fault_detail = "".join(char if char.isprintable() else "\ufffd" for char in text)

    def _take(self, line: bytes) -> None:
        if self.report is not None:
            raise _more_after_report()
        item = decode(line, self._limits.max_depth)
        if isinstance(item, ReportLine):
            self._check_claims(item)
        if item is not None:
            self._content.add(item)

    def _check_claims(self, report: ReportLine) -> None:
        if (report.scan, report.attempt) != (self._scan_id, self._attempt):
            raise malformed("The report names another scan or attempt than its own.")
        if report.outcome in _NOT_FOR_FETCHERS:
            raise malformed(f"The report claims {report.outcome}, which a fetcher cannot know.")


@dataclass(slots=True)
class _Artefact:
    """An artefact, of which pieces may be missing."""

    kind: str
    media_type: str
    data: bytearray = field(default_factory=bytearray)
    is_complete: bool = False


class _Content:
    """The content of the lines that were read so far."""

    def __init__(self, limits: ReportLimits) -> None:
        self._limits = limits
        self._hops: list[Hop] = []
        self._refusals: list[Refusal] = []
        self._body: Body | None = None
        self._page: Page | None = None
        self._favicon: Favicon | None = None
        self._artefacts: dict[str, _Artefact] = {}
        self._complete: list[_Artefact] = []
        self.report: ReportLine | None = None

    def evidence(self) -> Evidence:
        """Return the evidence as it is stored; the icon is part of the page."""
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
                if not all(map(self._is_as_reported, self._complete)):
                    raise malformed("The body that came is not the one whose SHA-256 was reported.")
                self.report = item

    def matching(self) -> list[_Artefact]:
        """Return the complete artefacts that match the evidence."""
        return [each for each in self._complete if self._is_as_reported(each)]

    def _add_evidence(self, line: EvidenceLine) -> None:
        parts = (line.hop, line.body, line.page, line.favicon, line.refusal)
        if sum(part is not None for part in parts) != 1:
            raise malformed("An evidence line does not hold exactly one piece of evidence.")
        if not all(map(_is_address, _addresses(line))):
            raise malformed("An address of the report is not one, or is not written as one is.")
        # A page may cause any number of hops and refusals; the first ones are enough to judge it.
        if line.hop is not None and len(self._hops) < self._limits.max_hops:
            self._hops.append(line.hop)
        if line.refusal is not None and len(self._refusals) < self._limits.max_refusals:
            self._refusals.append(line.refusal)
        self._body = line.body or self._body
        self._page = line.page or self._page
        self._favicon = line.favicon or self._favicon

    def _add_piece(self, piece: ArtefactLine) -> None:
        artefact = self._artefacts.setdefault(piece.kind, _Artefact(piece.kind, piece.media_type))
        if len(self._artefacts) > self._limits.max_artefacts:
            raise too_large(f"The report has more than {self._limits.max_artefacts} artefacts.")
        if artefact.is_complete:
            raise malformed(f"The artefact {piece.kind!r} goes on after its last piece.")
        if len(artefact.data) + len(piece.data) > self._limits.max_artefact_bytes:
            raise too_large(
                f"An artefact is larger than {self._limits.max_artefact_bytes:,} bytes."
            )
        artefact.data += piece.data
        if piece.last:
            artefact.is_complete = True
            self._complete.append(artefact)

    def _is_as_reported(self, artefact: _Artefact) -> bool:
        """Return whether an artefact is not a body, or has the SHA-256 of the evidence."""
        if artefact.kind != "body" or self._body is None:
            return True
        return hashlib.sha256(artefact.data).hexdigest() == self._body.sha256


def _more_after_report() -> ReportFaultError:
    return malformed("The sandbox wrote more after its report line.")


def _addresses(line: EvidenceLine) -> Iterator[str]:
    """Yield every address in a line."""
    if line.hop is not None:
        yield from line.hop.addresses
        if line.hop.address is not None:
            yield line.hop.address
    if line.refusal is not None and line.refusal.address:
        yield line.refusal.address


def _is_address(text: str) -> bool:
    """Return whether the text is an address as Python, the C library or a browser writes it.

    They differ for IPv6 addresses that contain an IPv4 address.
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
