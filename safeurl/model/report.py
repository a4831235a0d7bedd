"""The protocol between worker and fetcher: one request line in, report lines (NDJSON) out.

Data of a sandbox is hostile until `safeurl.model.report_reader` has parsed it. Fields are strict
and bounded: an unknown field, a wrong type or an over-long value is a fault. Text contains no
control character and no line break. A field with a known format contains nothing else: an address
field cannot contain the escapes of a terminal. Evidence of older versions may be less strict;
`safeurl.model.stored_evidence` reads it.
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
    """The way in which the fetcher reads the page."""

    HTTP = "http"
    BROWSER = "browser"


class FetchRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The only line that the fetcher reads on stdin; it has no secret and no address of ours."""

    scan: str
    attempt: int
    url: str
    profile: Profile = Profile.HTTP
    #: The fetcher stops by itself after this time and reports what it has read.
    timeout_s: float = 20.0
    max_redirects: int = 10
    #: The limit of the body, for the received bytes and again for the decompressed ones.
    max_body_bytes: int = 10 * 1024 * 1024
    policy: PolicyOverrides = PolicyOverrides()
    user_agent: str = ""
    #: True if the egress gateway makes the connections; otherwise the fetcher makes them.
    gateway: bool = False


class Timings(Strict, frozen=True):
    """The milliseconds of each phase of a hop; absent if there was no such phase."""

    dns_ms: Millis | None = None
    connect_ms: Millis | None = None
    tls_ms: Millis | None = None
    first_byte_ms: Millis | None = None
    total_ms: Millis | None = None


class Tls(Strict, frozen=True):
    """The facts of the server's certificate and handshake; a bad certificate is evidence."""

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
    #: True if chain, validity and host name verify against the system's roots.
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
    #: True if headers were left out or shortened to fit.
    headers_truncated: bool = False
    #: All addresses of the name; below, the address that was dialled.
    addresses: Annotated[tuple[Address, ...], Meta(max_length=64)] = ()
    address: Address | None = None
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    location: Url | None = None
    #: The violations of RFC 9112 in the response's head that browsers accept.
    anomalies: Anomalies = ()
    timings: Timings = Timings()
    tls: Tls | None = None
    #: The failure of this hop as text; empty if there was none.
    error: Long = ""


class Body(Strict, frozen=True):
    """The final response's body."""

    #: The number of received bytes, and of bytes after decompression.
    wire_bytes: Count
    size_bytes: Count
    #: The hash of the decompressed bytes, in lower-case hex.
    sha256: Sha256
    truncated: bool = False
    content_encoding: Short = ""
    charset: Name = ""
    declared_type: MediaType = ""
    sniffed_type: MediaType = ""
    #: The violations in its framing and its compression, as in `Hop`.
    anomalies: Anomalies = ()


class FormField(Strict, frozen=True):
    """One input of a form."""

    name: Short = ""
    type: Short = ""
    placeholder: Short = ""


class Form(Strict, frozen=True):
    """A form and the target of its input."""

    #: The absolute URL; empty if the page gives none.
    action: Url = ""
    #: The other targets of its submit buttons, each once: their absolute `formaction`.
    targets: Annotated[tuple[Url, ...], Meta(max_length=16)] = ()
    method: Word = "get"
    fields: Annotated[tuple[FormField, ...], Meta(max_length=128)] = ()
    has_password: bool = False
    #: True if a script writes it into the page; it was read without running the script.
    by_script: bool = False
    #: True if the origin of the action or of another target differs from the page's.
    cross_origin: bool = False


class Link(Strict, frozen=True):
    """An anchor, resolved against the page."""

    url: Url
    text: Short = ""


class Script(Strict, frozen=True):
    """A script: its absolute URL, or its size if it is inline."""

    url: Url = ""
    inline_bytes: Count = 0


class Iframe(Strict, frozen=True):
    """A frame, with a flag if the page hides it."""

    url: Url = ""
    hidden: bool = False


class MetaRefresh(Strict, frozen=True):
    """A `<meta http-equiv=refresh>`."""

    delay_s: Annotated[float, Meta(ge=0, le=1e9)]
    url: Url = ""


class Onward(Strict, frozen=True):
    """A URL to which the page leads without a click, and which was not opened."""

    #: `meta_refresh`, `refresh_header`, `script` or `form` (one that a script sends).
    how: Word
    #: The absolute URL, or its known beginning; empty if a script computes it.
    url: Annotated[str, Meta(max_length=2048, pattern=TEXT)] = ""
    delay_s: Annotated[float, Meta(ge=0, le=1e9)] = 0.0
    #: True if it depends on a condition of the script; older evidence does not have this.
    conditional: bool = False


class Favicon(Strict, frozen=True):
    """The site's icon; `mmh3` is the hash that Shodan and others index."""

    url: Url
    sha256: Sha256OrNone = ""
    mmh3: int | None = None
    size_bytes: Count = 0
    #: The reason why there is no hash; empty if there is one.
    error: Short = ""


class Page(Strict, frozen=True):
    """The content of the HTML. Lists are cut at their limits; `partial` then gives the reason."""

    title: Long = ""
    description: Long = ""
    canonical: Url = ""
    language: Short = ""
    generator: Short = ""
    #: The start of the visible text, with white space folded.
    text: Annotated[str, Meta(max_length=8192, pattern=TEXT)] = ""
    forms: Annotated[tuple[Form, ...], Meta(max_length=64)] = ()
    links: Annotated[tuple[Link, ...], Meta(max_length=512)] = ()
    #: The number of all anchors, and of those that lead nowhere (`#`, `javascript:`, empty).
    links_total: Count = 0
    links_null: Count = 0
    scripts: Annotated[tuple[Script, ...], Meta(max_length=256)] = ()
    iframes: Annotated[tuple[Iframe, ...], Meta(max_length=64)] = ()
    meta_refresh: MetaRefresh | None = None
    onward: Annotated[tuple[Onward, ...], Meta(max_length=16)] = ()
    #: True if its scripts are too long to be read to their end: `onward` may then be incomplete.
    scripts_cut: bool = False
    favicon: Favicon | None = None
    #: Comments of page savers, such as `saved from url=`.
    saver_mark: Short = ""
    partial: Short = ""


class Refusal(Strict, frozen=True):
    """A connection that the address policy did not allow."""

    host: Host
    port: Annotated[int, Meta(ge=0, le=65535)]
    #: The policy's named reason, for example `loopback` or `port`.
    rule: Word
    address: AddressOrNone = ""
    #: The URL that led there.
    url: Url = ""


class EvidenceLine(Strict, frozen=True, tag_field="type", tag="evidence"):
    """One piece of evidence, sent when ready; exactly one field is set."""

    hop: Hop | None = None
    body: Body | None = None
    page: Page | None = None
    #: The page's icon, which is fetched after the page.
    favicon: Favicon | None = None
    refusal: Refusal | None = None


class ArtefactLine(Strict, frozen=True, tag_field="type", tag="artefact"):
    """A part of a blob. The parts of one kind come in order, and the last one is marked."""

    #: `body`, `favicon`, later `screenshot`, `dom`, `har`.
    kind: Annotated[str, Meta(pattern=r"^[a-z_]{1,32}\Z")]
    #: At most 256 KiB, encoded as base64 in JSON.
    data: Annotated[bytes, Meta(max_length=256 * 1024)]
    last: bool = False
    media_type: MediaType = "application/octet-stream"


class ReportLine(Strict, frozen=True, tag_field="type", tag="report"):
    """The last line: the outcome of the fetch, as the fetcher reports it."""

    scan: Name
    attempt: Count
    outcome: Outcome
    detail: Long = ""
    final_url: OpenedUrl = ""
    elapsed_ms: Millis = 0.0
    fetcher: Name = ""


Line = EvidenceLine | ArtefactLine | ReportLine


class Evidence(Strict, frozen=True):
    """All evidence of one attempt, as it is stored and as rules read it."""

    hops: tuple[Hop, ...] = ()
    body: Body | None = None
    page: Page | None = None
    refusals: tuple[Refusal, ...] = ()
    report: ReportLine | None = None
    #: The gateway's record, which alone is trusted; None for a sandbox with a network.
    egress: EgressEvidence | None = None


#: The first line of a fetcher with `--preload`: everything is loaded, and it waits for its request.
READY_LINE: Final = b'{"type":"ready"}\n'


def encode_line(line: Line | FetchRequest) -> bytes:
    """Return the line as JSON with its newline."""
    return msgspec.json.encode(line) + b"\n"
