"""The language the worker and the fetcher speak: one request line in, report lines (NDJSON) out.

What comes from a sandbox is hostile until `safeurl.model.report_reader` has parsed it.
Fields are strict and bounded: an unknown field, a wrong type or an over-long value is a fault.
Text holds no control character and no line break, and what has a known shape holds nothing else:
an address field cannot hold the escapes of a terminal. Evidence that older versions stored may be
looser; `safeurl.model.stored_evidence` reads it.
"""

from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from safeurl.address import PolicyOverrides
from safeurl.state import Outcome

#: Free text: no control character of C0 or C1. The fetcher has made spaces of them.
_TEXT = r"^[^\x00-\x1f\x7f-\x9f]*\Z"
Short = Annotated[str, Meta(max_length=512, pattern=_TEXT)]
Long = Annotated[str, Meta(max_length=4096, pattern=_TEXT)]
#: A URL as a page or a server wrote it, which may be any text.
Url = Annotated[str, Meta(max_length=8192, pattern=_TEXT)]
#: A URL that was opened: as `safeurl.url` returns it.
OpenedUrl = Annotated[str, Meta(max_length=8192, pattern=r"^(?:https?://[!-~]+)?\Z")]
#: An address as the system's printers write it; the report's reader checks that it is one.
Address = Annotated[str, Meta(max_length=45, pattern=r"^[0-9a-f]*[:.][0-9a-f:.]+\Z")]
AddressOrNone = Annotated[str, Meta(max_length=45, pattern=r"^(?:[0-9a-f]*[:.][0-9a-f:.]+)?\Z")]
#: A host name, an address or what was refused as one: visible ASCII.
Host = Annotated[str, Meta(max_length=512, pattern=r"^[!-~]*\Z")]
#: A word of a closed list: an outcome, a rule.
Word = Annotated[str, Meta(max_length=64, pattern=r"^[a-z0-9_]*\Z")]
#: Words for what was odd about a response.
Anomalies = Annotated[tuple[Word, ...], Meta(max_length=32)]
#: An id of ours, and the names that libraries give to versions and ciphers.
Name = Annotated[str, Meta(max_length=128, pattern=r"^[A-Za-z0-9_.:/+-]*\Z")]
#: A field name of HTTP (RFC 9110, 5.6.2).
Token = Annotated[str, Meta(max_length=512, pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")]
Hex = Annotated[str, Meta(max_length=512, pattern=r"^-?[0-9a-f]*\Z")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Sha256OrNone = Annotated[str, Meta(pattern=r"^(?:[0-9a-f]{64})?\Z")]
MediaType = Annotated[
    str,
    Meta(max_length=255, pattern=r"^(?:[a-z0-9_!#$&^.+*-]+/[a-z0-9_!#$&^.+*-]+)?\Z"),
]
#: ISO 8601 with its offset.
Time = Annotated[
    str,
    Meta(
        max_length=40,
        pattern=r"^(?:[0-9]{4}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2}(?:\.[0-9]+)?"
        r"(?:Z|[+-][0-9]{2}:[0-9]{2}))?\Z",
    ),
]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Millis = Annotated[float, Meta(ge=0, le=1e9)]


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


class _Strict(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Common strictness of all evidence."""


class Timings(_Strict, frozen=True):
    """Milliseconds each phase of a hop took; absent where the phase did not happen."""

    dns_ms: Millis | None = None
    connect_ms: Millis | None = None
    tls_ms: Millis | None = None
    first_byte_ms: Millis | None = None
    total_ms: Millis | None = None


class Tls(_Strict, frozen=True):
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


class Hop(_Strict, frozen=True):
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


class Body(_Strict, frozen=True):
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


class FormField(_Strict, frozen=True):
    """One input of a form."""

    name: Short = ""
    type: Short = ""
    placeholder: Short = ""


class Form(_Strict, frozen=True):
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


class Link(_Strict, frozen=True):
    """An anchor, resolved against the page."""

    url: Url
    text: Short = ""


class Script(_Strict, frozen=True):
    """A script: its absolute URL, or its size where it is inline."""

    url: Url = ""
    inline_bytes: Count = 0


class Iframe(_Strict, frozen=True):
    """A frame, and whether the page hides it."""

    url: Url = ""
    hidden: bool = False


class MetaRefresh(_Strict, frozen=True):
    """A `<meta http-equiv=refresh>`."""

    delay_s: Annotated[float, Meta(ge=0, le=1e9)]
    url: Url = ""


class Onward(_Strict, frozen=True):
    """Where the page leads by itself, and was not followed."""

    #: `meta_refresh`, `refresh_header`, `script` or `form` (one that a script sends).
    how: Word
    #: Absolute, or the start of it that is known; empty where a script works it out.
    url: Annotated[str, Meta(max_length=2048, pattern=_TEXT)] = ""
    delay_s: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    #: Whether a condition of the script decides about it; not known of older evidence.
    conditional: bool = False


class Favicon(_Strict, frozen=True):
    """The site's icon; `mmh3` is the hash that Shodan and others index."""

    url: Url
    sha256: Sha256OrNone = ""
    mmh3: int | None = None
    size_bytes: Count = 0
    #: Why there is no hash; empty when there is one.
    error: Short = ""


class Page(_Strict, frozen=True):
    """What the HTML says. Lists are cut at their caps; `partial` then says why."""

    title: Long = ""
    description: Long = ""
    canonical: Url = ""
    language: Short = ""
    generator: Short = ""
    #: The start of the visible text, white space folded.
    text: Annotated[str, Meta(max_length=8192, pattern=_TEXT)] = ""
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


class Refusal(_Strict, frozen=True):
    """A connection that the address policy did not allow."""

    host: Host
    port: Annotated[int, Meta(ge=0, le=65535)]
    #: The policy's named reason, for example `loopback` or `port`.
    rule: Word
    address: AddressOrNone = ""
    #: Which URL led there.
    url: Url = ""


class EgressDecision(_Strict, frozen=True):
    """What the egress gateway did with one request for a connection; its word is trusted."""

    #: The host, in ASCII: as it was dialled, or where it was refused as it was asked for; empty
    #: where the request could not be read.
    name: Host
    port: Annotated[int, Meta(ge=0, le=65535)]
    #: Every address the name resolved to, then the one that was dialled.
    addresses: Annotated[tuple[Address, ...], Meta(max_length=64)] = ()
    address: AddressOrNone = ""
    #: Whether the policy and the caps let it through; `outcome` then says what became of it.
    allowed: bool = False
    #: The rule that let it through or refused it; a word of `safeurl.address` or `safeurl.url`,
    #: a cap's, or one of the gateway's own: `unbound`, `bad_request`, `method`, `version`. After
    #: it was dialled, and before a byte was sent: `sni_mismatch`, `tls_malformed`, `tls_timeout`.
    rule: Word = ""
    #: What went wrong after it was let through: an outcome such as `dns_nxdomain`, the cap that
    #: cut the connection, `closed` where the worker did; empty where both ends had finished. And
    #: `gateway_failed` where the gateway itself did.
    outcome: Word = ""
    #: What a tunnel's first bytes were: `tls`, or `other`; empty where there were none.
    protocol: Word = ""
    #: The ClientHello's host (SNI), empty where it names none, and its protocols (ALPN); bytes
    #: that are no visible ASCII are written as `\\x00`.
    sni: Short = ""
    alpn: Annotated[tuple[Short, ...], Meta(max_length=16)] = ()
    #: Whether it holds Encrypted Client Hello, or what looks like it: `sni` is the outer name.
    ech: bool = False
    #: Bytes that left the sandbox, and bytes that came into it.
    bytes_out: Count = 0
    bytes_in: Count = 0
    #: ISO 8601, UTC.
    started_at: Time = ""
    dns_ms: Millis | None = None
    connect_ms: Millis | None = None
    duration_ms: Millis = 0.0


class EgressEvidence(_Strict, frozen=True):
    """The gateway's own record of one sandbox's connections, in the order they were asked for."""

    scan: Name = ""
    attempt: Count = 0
    decisions: Annotated[tuple[EgressDecision, ...], Meta(max_length=512)] = ()
    #: Requests beyond the 512 that are kept.
    dropped: Count = 0
    #: Sums over all requests, the dropped ones included.
    requests: Count = 0
    bytes_out: Count = 0
    bytes_in: Count = 0
    #: Whether the gateway closed the socket by itself, because nobody did in time.
    expired: bool = False


class EvidenceLine(_Strict, frozen=True, tag_field="type", tag="evidence"):
    """One piece of evidence, sent when ready; exactly one field is set."""

    hop: Hop | None = None
    body: Body | None = None
    page: Page | None = None
    #: The page's icon; it comes after the page, since it is fetched after it.
    favicon: Favicon | None = None
    refusal: Refusal | None = None


class ArtefactLine(_Strict, frozen=True, tag_field="type", tag="artefact"):
    """A piece of a blob; pieces of one kind come in order, the last one says so."""

    #: `body`, `favicon`, later `screenshot`, `dom`, `har`.
    kind: Annotated[str, Meta(pattern=r"^[a-z_]{1,32}\Z")]
    #: At most 256 KiB, as base64 on the wire.
    data: Annotated[bytes, Meta(max_length=256 * 1024)]
    last: bool = False
    media_type: MediaType = "application/octet-stream"


class ReportLine(_Strict, frozen=True, tag_field="type", tag="report"):
    """The last line: how the fetch ended, in the fetcher's own words."""

    scan: Name
    attempt: Count
    outcome: Outcome
    detail: Long = ""
    final_url: OpenedUrl = ""
    elapsed_ms: Millis = 0.0
    fetcher: Name = ""


Line = EvidenceLine | ArtefactLine | ReportLine


class Evidence(_Strict, frozen=True):
    """All evidence of one attempt, as it is stored and as rules see it."""

    hops: tuple[Hop, ...] = ()
    body: Body | None = None
    page: Page | None = None
    refusals: tuple[Refusal, ...] = ()
    report: ReportLine | None = None
    #: The gateway's own record; None for a sandbox that had a network. Trusted, unlike the rest.
    egress: EgressEvidence | None = None


def encode_line(line: Line | FetchRequest) -> bytes:
    """Return the line as JSON with its newline."""
    return msgspec.json.encode(line) + b"\n"
