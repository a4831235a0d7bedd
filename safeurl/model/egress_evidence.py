"""The egress gateway's record of a sandbox's connections; it is trusted, unlike the report."""

from typing import Annotated

from msgspec import Meta

from safeurl.model.report_types import (
    Address,
    AddressOrNone,
    Count,
    Host,
    Millis,
    Name,
    Short,
    Strict,
    Time,
    Word,
)


class EgressDecision(Strict, frozen=True):
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


class EgressEvidence(Strict, frozen=True):
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
