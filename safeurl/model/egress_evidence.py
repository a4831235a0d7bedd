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
    """What the egress gateway did with one request for a connection; this record is trusted."""

    #: The host in ASCII. For an allowed request it is the host that the gateway dialled, for a
    #: refused one the host in the request. It is empty if the request could not be read.
    name: Host
    port: Annotated[int, Meta(ge=0, le=65535)]
    #: All addresses of the name; below, the address that was dialled.
    addresses: Annotated[tuple[Address, ...], Meta(max_length=64)] = ()
    address: AddressOrNone = ""
    #: True if the policy and the caps allowed the connection. `outcome` then says how it ended.
    allowed: bool = False
    #: The rule that allowed or refused the request: a value of `safeurl.address` or `safeurl.url`,
    #: the name of a cap, or a value of the gateway: `unbound`, `bad_request`, `method`, `version`.
    #: `sni_mismatch`, `tls_malformed` and `tls_timeout` are decided after the host was dialled and
    #: before a byte is sent to it.
    rule: Word = ""
    #: The failure after the request was allowed: an outcome such as `dns_nxdomain`, the cap that
    #: ended the connection, `closed` if the worker closed it, or `gateway_failed` for an error of
    #: the gateway itself. It is empty if both ends finished.
    outcome: Word = ""
    #: The kind of a tunnel's first bytes: `tls` or `other`; empty if there were none.
    protocol: Word = ""
    #: The host of the ClientHello (SNI), empty if it names none, and its protocols (ALPN). A byte
    #: that is not visible ASCII is written as `\\x00`.
    sni: Short = ""
    alpn: Annotated[tuple[Short, ...], Meta(max_length=16)] = ()
    #: True if the ClientHello has the extension of Encrypted Client Hello, or a similar one. `sni`
    #: is then the outer name.
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
    """The gateway's record of one sandbox's connections, in the order of the requests."""

    scan: Name = ""
    attempt: Count = 0
    decisions: Annotated[tuple[EgressDecision, ...], Meta(max_length=512)] = ()
    #: The number of requests after the first 512, whose decisions are not kept.
    dropped: Count = 0
    #: Sums over all requests, including those of `dropped`.
    requests: Count = 0
    bytes_out: Count = 0
    bytes_in: Count = 0
    #: True if the gateway closed the socket because the worker did not close it in time.
    expired: bool = False
