"""The language the worker and the fetcher speak: one request line in, report lines (NDJSON) out.

What comes from a sandbox is hostile until `safeurl.model.report_reader` has parsed it.
Fields are strict and bounded: an unknown field, a wrong type or an over-long value is a fault.
Text holds no control character and no line break, and what has a known shape holds nothing else:
an address field cannot hold the escapes of a terminal. Evidence that older versions stored may be
looser; `safeurl.model.stored_evidence` reads it.
"""

from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from safeurl.address import PolicyOverrides
from safeurl.model.egress_evidence import EgressEvidence
from safeurl.model.report_types import (
    TEXT,
    Address,
    AddressOrNone,
    Anomalies,
    Count,
    Hex,
    Host,
    Long,
    MediaType,
    Millis,
    Name,
    OpenedUrl,
    Sha256,
    Sha256OrNone,
    Short,
    Strict,
    Time,
    Token,
    Url,
    Word,
)
from safeurl.state import Outcome


class Profile(StrEnum):
    """How the fetcher looks at the page."""

    HTTP = "http"
    BROWSER = "browser"


class FetchRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The one line the fetcher reads on stdin. Holds no secret and no address of ours."""

    scan: str
    attempt: int
    url: str
    profile: Profile = Profile.HTTP
    #: The fetcher stops by itself after this long and reports what it has.
    timeout_s: float = 20.0
    max_redirects: int = 10
    #: Cap on the body, on the wire and again after decompression.
    max_body_bytes: int = 10 * 1024 * 1024
    policy: PolicyOverrides = PolicyOverrides()
    user_agent: str = ""
    #: Whether connections are asked of the egress gateway's socket; else the fetcher makes them.
    gateway: bool = False


class Timings(Strict, frozen=True):
    """Milliseconds each phase of a hop took; absent where the phase did not happen."""

    dns_ms: Millis | None = None
    connect_ms: Millis | None = None
    tls_ms: Millis | None = None
    first_byte_ms: Millis | None = None
    total_ms: Millis | None = None


class Tls(Strict, frozen=True):
    """What the server's certificate and handshake said; a bad certificate is evidence."""

    version: Name
    cipher: Name = ""
    alpn: Name = ""
    issuer: Long = ""
    subject: Long = ""
    sans: Annotated[tuple[Short, ...], Meta(max_length=256)] = ()
    #: ISO 8601, UTC.
    not_before: Time = ""
    not_after: Time = ""
    serial: Hex = ""
    #: SHA-256 of the DER certificate, lower-case hex.
    sha256: Sha256OrNone = ""
    #: Whether chain, validity and host name verify against the system's roots.
    verified: bool = False
    verify_error: Short = ""


class Hop(Strict, frozen=True):
    """One request of the redirect chain."""

    url: OpenedUrl
    #: `submitted`, `redirect` or `meta_refresh`.
    via: Word = "submitted"
    status: Annotated[int, Meta(ge=100, le=999)] | None = None
    http_version: Name = ""
    headers: Annotated[tuple[tuple[Token, Url], ...], Meta(max_length=256)] = ()
    #: True where headers were left out or shortened to fit.
    headers_truncated: bool = False
    #: Every address the name resolved to, then the one that was dialled.
    addresses: Annotated[tuple[Address, ...], Meta(max_length=64)] = ()
    address: Address | None = None
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    location: Url | None = None
    #: What departed from RFC 9112 in the response's head and browsers put up with.
    anomalies: Anomalies = ()
    timings: Timings = Timings()
    tls: Tls | None = None
    #: What went wrong on this hop, in words; empty when nothing did.
    error: Long = ""


class Body(Strict, frozen=True):
    """The final response's body."""

    #: Bytes received, and bytes after decompression.
    wire_bytes: Count
    size_bytes: Count
    #: Of the decompressed bytes, lower-case hex.
    sha256: Sha256
    truncated: bool = False
    content_encoding: Short = ""
    charset: Name = ""
    declared_type: MediaType = ""
    sniffed_type: MediaType = ""
    #: What was odd about its framing and its compression, as in `Hop`.
    anomalies: Anomalies = ()


class FormField(Strict, frozen=True):
    """One input of a form."""

    name: Short = ""
    type: Short = ""
    placeholder: Short = ""


class Form(Strict, frozen=True):
    """A form and where it sends what is typed."""

    #: Absolute; empty when the page gives none.
    action: Url = ""
    #: Where its submit buttons send it instead, each once: their `formaction`, absolute.
    targets: Annotated[tuple[Url, ...], Meta(max_length=16)] = ()
    method: Word = "get"
    fields: Annotated[tuple[FormField, ...], Meta(max_length=128)] = ()
    has_password: bool = False
    #: Whether a script writes it into the page; it is then read without running the script.
    by_script: bool = False
    #: Whether the origin of the action or of a further target differs from the page's.
    cross_origin: bool = False


class Link(Strict, frozen=True):
    """An anchor, resolved against the page."""

    url: Url
    text: Short = ""


class Script(Strict, frozen=True):
    """A script: its absolute URL, or its size where it is inline."""

    url: Url = ""
    inline_bytes: Count = 0


class Iframe(Strict, frozen=True):
    """A frame, and whether the page hides it."""

    url: Url = ""
    hidden: bool = False


class MetaRefresh(Strict, frozen=True):
    """A `<meta http-equiv=refresh>`."""

    delay_s: Annotated[float, Meta(ge=0, le=1e9)]
    url: Url = ""


class Onward(Strict, frozen=True):
    """Where the page leads by itself, and was not followed."""

    #: `meta_refresh`, `refresh_header`, `script` or `form` (one that a script sends).
    how: Word
    #: Absolute, or the start of it that is known; empty where a script works it out.
    url: Annotated[str, Meta(max_length=2048, pattern=TEXT)] = ""
    delay_s: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    #: Whether a condition of the script decides about it; not known of older evidence.
    conditional: bool = False


class Favicon(Strict, frozen=True):
    """The site's icon; `mmh3` is the hash that Shodan and others index."""

    url: Url
    sha256: Sha256OrNone = ""
    mmh3: int | None = None
    size_bytes: Count = 0
    #: Why there is no hash; empty when there is one.
    error: Short = ""


class Page(Strict, frozen=True):
    """What the HTML says. Lists are cut at their caps; `partial` then says why."""

    title: Long = ""
    description: Long = ""
    canonical: Url = ""
    language: Short = ""
    generator: Short = ""
    #: The start of the visible text, white space folded.
    text: Annotated[str, Meta(max_length=8192, pattern=TEXT)] = ""
    forms: Annotated[tuple[Form, ...], Meta(max_length=64)] = ()
    links: Annotated[tuple[Link, ...], Meta(max_length=512)] = ()
    #: All anchors, and those that lead nowhere (`#`, `javascript:`, empty).
    links_total: Count = 0
    links_null: Count = 0
    scripts: Annotated[tuple[Script, ...], Meta(max_length=256)] = ()
    iframes: Annotated[tuple[Iframe, ...], Meta(max_length=64)] = ()
    meta_refresh: MetaRefresh | None = None
    onward: Annotated[tuple[Onward, ...], Meta(max_length=16)] = ()
    #: Whether its scripts are too long to be read to their end: `onward` may lack what they do.
    scripts_cut: bool = False
    favicon: Favicon | None = None
    #: Comments such as `saved from url=` that a page saver leaves behind.
    saver_mark: Short = ""
    partial: Short = ""


class Refusal(Strict, frozen=True):
    """A connection that the address policy did not allow."""

    host: Host
    port: Annotated[int, Meta(ge=0, le=65535)]
    #: The policy's named reason, for example `loopback` or `port`.
    rule: Word
    address: AddressOrNone = ""
    #: Which URL led there.
    url: Url = ""


class EvidenceLine(Strict, frozen=True, tag_field="type", tag="evidence"):
    """One piece of evidence, sent when ready; exactly one field is set."""

    hop: Hop | None = None
    body: Body | None = None
    page: Page | None = None
    #: The page's icon; it comes after the page, since it is fetched after it.
    favicon: Favicon | None = None
    refusal: Refusal | None = None


class ArtefactLine(Strict, frozen=True, tag_field="type", tag="artefact"):
    """A piece of a blob; pieces of one kind come in order, the last one says so."""

    #: `body`, `favicon`, later `screenshot`, `dom`, `har`.
    kind: Annotated[str, Meta(pattern=r"^[a-z_]{1,32}\Z")]
    #: At most 256 KiB, as base64 on the wire.
    data: Annotated[bytes, Meta(max_length=256 * 1024)]
    last: bool = False
    media_type: MediaType = "application/octet-stream"


class ReportLine(Strict, frozen=True, tag_field="type", tag="report"):
    """The last line: how the fetch ended, in the fetcher's own words."""

    scan: Name
    attempt: Count
    outcome: Outcome
    detail: Long = ""
    final_url: OpenedUrl = ""
    elapsed_ms: Millis = 0.0
    fetcher: Name = ""


Line = EvidenceLine | ArtefactLine | ReportLine


class Evidence(Strict, frozen=True):
    """All evidence of one attempt, as it is stored and as rules see it."""

    hops: tuple[Hop, ...] = ()
    body: Body | None = None
    page: Page | None = None
    refusals: tuple[Refusal, ...] = ()
    report: ReportLine | None = None
    #: The gateway's own record; None for a sandbox that had a network. Trusted, unlike the rest.
    egress: EgressEvidence | None = None


#: What a fetcher with `--preload` writes first: everything is loaded, and it waits for its request.
READY_LINE: Final = b'{"type":"ready"}\n'


def encode_line(line: Line | FetchRequest) -> bytes:
    """Return the line as JSON with its newline."""
    return msgspec.json.encode(line) + b"\n"
