"""Loads the body of a response within its limits and describes it."""

import hashlib
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from fetcher.content.inflate import CorruptBodyError
from fetcher.content.media_type import extract_media_type, reportable_type
from fetcher.content.sniff import find_charset, sniff_type
from fetcher.deadline import Deadline
from fetcher.failure import FetchFailedError, FetchResult
from fetcher.http.decode import (
    CappedSource,
    CapReachedError,
    IteratorSource,
    decompressed,
    parse_encodings,
)
from fetcher.http.exchange import Exchange
from fetcher.http.framing import BLANKS
from fetcher.http.head import Head
from fetcher.sanitize import sanitize
from safeurl.model.report import Body
from safeurl.state import Outcome

_PIECE_BYTES = 64 * 1024
#: XML types that Chromium displays. It downloads other `+xml` types as files.
_XML_TYPES = frozenset({"application/xhtml+xml", "application/xml", "text/xml", "image/svg+xml"})

#: Declared types without information; browsers then sniff the bytes.
_UNKNOWN_TYPES = frozenset({"", "*/*", "unknown/unknown", "application/unknown"})


class LoadedBody(Struct, frozen=True):
    """A body, complete or not, with the result of loading it."""

    data: bytes
    evidence: Body
    result: FetchResult
    #: True if the header `X-Content-Type-Options: nosniff` is set: no type is sniffed.
    is_nosniff: bool = False

    @property
    def effective_type(self) -> str:
        """Return the media type that a browser would assume; empty if it would assume none."""
        declared = self.evidence.declared_type
        if declared in _UNKNOWN_TYPES:
            return "" if self.is_nosniff else self.evidence.sniffed_type
        return declared

    @property
    def is_xml(self) -> bool:
        """Return True if a browser would parse the body as an XML document."""
        return self.effective_type in _XML_TYPES

    @property
    def is_page(self) -> bool:
        """Return True if a browser would display the body as a page."""
        return self.is_xml or self.effective_type == "text/html"


def load_body(exchange: Exchange, head: Head, cap: int, deadline: Deadline) -> LoadedBody:
    """Load the body; on any failure, the bytes that were read before are kept."""
    wire = CappedSource(IteratorSource(exchange.pieces()), cap, deadline)
    content_encoding = ", ".join(head.values("content-encoding"))
    kept = bytearray()
    anomalies: list[str] = []
    truncated = True
    try:
        source = decompressed(wire, parse_encodings(content_encoding), cap, deadline, anomalies)
        for piece in iter(partial(source.read, _PIECE_BYTES), b""):
            kept += piece
    except CapReachedError:
        result = FetchResult(
            Outcome.BODY_TOO_LARGE, f"The body is larger than {cap:,} bytes; the rest was not read."
        )
    except CorruptBodyError as error:
        result = _corrupt(content_encoding, error, has_data=bool(kept))
    except FetchFailedError as failure:
        result = failure.result
    else:
        truncated = exchange.was_truncated
        detail = "The server closed the connection before the whole body came." if truncated else ""
        result = FetchResult(Outcome.OK, detail)
    data = bytes(kept)
    described = _describe(data, wire.count, head, truncated=truncated)
    found = tuple(dict.fromkeys((*exchange.anomalies, *anomalies)))
    options = ", ".join(head.values("x-content-type-options"))
    is_nosniff = options.partition(",")[0].strip(BLANKS).lower() == "nosniff"
    return LoadedBody(data, replace(described, anomalies=found), result, is_nosniff)


def _corrupt(content_encoding: str, error: CorruptBodyError, *, has_data: bool) -> FetchResult:
    outcome = Outcome.OK if has_data else Outcome.HTTP_ERROR
    name = sanitize(content_encoding, 64)
    return FetchResult(
        outcome, f"The body could not be decompressed as {name}: {sanitize(str(error))}."
    )


def _describe(data: bytes, wire_bytes: int, head: Head, *, truncated: bool) -> Body:
    media_type = extract_media_type(head.values("content-type"))
    return Body(
        wire_bytes=wire_bytes,
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        truncated=truncated,
        content_encoding=sanitize(", ".join(head.values("content-encoding"))),
        charset=find_charset(data, media_type.header_value),
        declared_type=reportable_type(media_type.essence),
        sniffed_type=sniff_type(data),
    )
