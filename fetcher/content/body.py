"""Loads a response's body under all caps and says what it is."""

import hashlib
from dataclasses import dataclass
from functools import partial

from msgspec.structs import replace

from fetcher.content.inflate import CorruptBodyError
from fetcher.content.media_type import extract, reportable
from fetcher.content.sniff import find_charset, sniff_type
from fetcher.deadline import Deadline
from fetcher.failure import Ending, FetchFailedError
from fetcher.http.decode import (
    Capped,
    CapReachedError,
    Pieces,
    encodings,
    unpacked,
)
from fetcher.http.exchange import Exchange
from fetcher.http.framing import BLANKS
from fetcher.http.head import Head
from fetcher.sanitize import clean
from safeurl.model.report import Body
from safeurl.state import Outcome

_PIECE_BYTES = 64 * 1024
#: Chromium saves other `+xml` types as files.
_XML_TYPES = frozenset({"application/xhtml+xml", "application/xml", "text/xml", "image/svg+xml"})

#: Declared types that say nothing, so that browsers look at the bytes.
_UNKNOWN_TYPES = frozenset({"", "*/*", "unknown/unknown", "application/unknown"})


@dataclass(frozen=True, slots=True)
class Load:
    """A body as far as it came, with how its reading ended."""

    data: bytes
    body: Body
    ending: Ending
    #: Whether what was declared counts as it stands: `X-Content-Type-Options: nosniff`.
    no_sniff: bool = False

    @property
    def kind(self) -> str:
        """Return the media type as which a browser would read it; empty for none."""
        declared = self.body.declared_type
        if declared in _UNKNOWN_TYPES:
            return "" if self.no_sniff else self.body.sniffed_type
        return declared

    @property
    def is_xml(self) -> bool:
        """Tell whether a browser would read it as an XML document."""
        return self.kind in _XML_TYPES

    @property
    def is_page(self) -> bool:
        """Tell whether a browser would show it as a page."""
        return self.is_xml or self.kind == "text/html"


def load(exchange: Exchange, head: Head, cap: int, deadline: Deadline) -> Load:
    """Read the body; whatever stops the reading, what came before is kept."""
    wire = Capped(Pieces(exchange.pieces()), cap, deadline)
    content_encoding = ", ".join(head.values("content-encoding"))
    kept = bytearray()
    notes: list[str] = []
    truncated = True
    try:
        source = unpacked(wire, encodings(content_encoding), cap, deadline, notes)
        for piece in iter(partial(source.read, _PIECE_BYTES), b""):
            kept += piece
    except CapReachedError:
        ending = Ending(
            Outcome.BODY_TOO_LARGE, f"The body is larger than {cap:,} bytes; the rest was left."
        )
    except CorruptBodyError as error:
        ending = _corrupt(content_encoding, error, has_data=bool(kept))
    except FetchFailedError as failure:
        ending = failure.ending
    else:
        truncated = exchange.was_cut
        words = "The server closed the connection before the whole body came." if truncated else ""
        ending = Ending(Outcome.OK, words)
    data = bytes(kept)
    described = _describe(data, wire.count, head, truncated=truncated)
    anomalies = tuple(dict.fromkeys((*exchange.anomalies, *notes)))
    options = ", ".join(head.values("x-content-type-options"))
    no_sniff = options.partition(",")[0].strip(BLANKS).lower() == "nosniff"
    return Load(data, replace(described, anomalies=anomalies), ending, no_sniff)


def _corrupt(content_encoding: str, error: CorruptBodyError, *, has_data: bool) -> Ending:
    outcome = Outcome.OK if has_data else Outcome.HTTP_ERROR
    name = clean(content_encoding, 64)
    return Ending(outcome, f"The body could not be decompressed as {name}: {clean(str(error))}.")


def _describe(data: bytes, wire_bytes: int, head: Head, *, truncated: bool) -> Body:
    media_type = extract(head.values("content-type"))
    return Body(
        wire_bytes=wire_bytes,
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        truncated=truncated,
        content_encoding=clean(", ".join(head.values("content-encoding"))),
        charset=find_charset(data, media_type.text),
        declared_type=reportable(media_type.essence),
        sniffed_type=sniff_type(data),
    )
