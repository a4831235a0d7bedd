"""Signs on the way to the page: redirects, and refused connections."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from itertools import pairwise

from safeurl.address import Rule as AddressRule
from safeurl.address import judge_address
from safeurl.analysis.context import Context
from safeurl.analysis.data import words
from safeurl.analysis.rule import Finding, Rule, Weight
from safeurl.model.egress_evidence import EgressDecision
from safeurl.model.report import Refusal
from safeurl.model.verdict import Category, Group
from safeurl.url import Reason

_MANY_SITES = 4
_METADATA = frozenset(
    {"169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"},
)
_METADATA_NAMES = frozenset({"metadata.google.internal", "metadata"})
#: The address policy's names for an inner network.
_INNER_ADDRESSES = frozenset(
    {
        *(AddressRule.LOOPBACK, AddressRule.PRIVATE, AddressRule.LINK_LOCAL),
        *(AddressRule.UNSPECIFIED, AddressRule.OWN_ADDRESS, AddressRule.CGNAT),
        AddressRule.METADATA,
    }
)
_INNER_RULES = _INNER_ADDRESSES | {Reason.LOCAL_NAME, Reason.SINGLE_LABEL}
#: IPv6 ranges that carry an IPv4 address, and the bits that follow it: NAT64, compatible,
#: translated, 6to4 (RFC 6052, 8215, 4291, 2765, 3056).
_CARRIERS = (
    *((IPv6Network(cidr), 0) for cidr in ("64:ff9b::/96", "64:ff9b:1::/48")),
    *((IPv6Network(cidr), 0) for cidr in ("::/96", "::ffff:0:0:0/96")),
    (IPv6Network("2002::/16"), 80),
)


def many_sites(ctx: Context) -> Iterator[Finding]:
    """Find a way over several unrelated sites."""
    sites = dict.fromkeys(step.site.name for step in ctx.steps)
    if len(sites) >= _MANY_SITES:
        reason = f"The URL leads over {len(sites)} different sites."
        yield Finding("/hops", reason, " > ".join(sites))


def downgrade(ctx: Context) -> Iterator[Finding]:
    """Find a redirect from an encrypted page to an unencrypted one."""
    for before, after in pairwise(ctx.steps):
        if before.target.scheme == "https" and after.target.scheme == "http":
            reason = "A redirect leads from https to plain http."
            yield Finding(after.pointer, reason, after.target.url)


def shortener(ctx: Context) -> Iterator[Finding]:
    """Find a shortener, which hides the target of the link."""
    if (
        ctx.start.target.host in words("shorteners.txt")
        and ctx.final.site.name != ctx.start.site.name
    ):
        reason = "The link was shortened, which hid where it leads."
        yield Finding(ctx.start.pointer, reason, f"{ctx.start.target.url} > {ctx.final.site.name}")


def metadata_address(ctx: Context) -> Iterator[Finding]:
    """Find a request for a cloud's metadata service; nobody links to it by mistake."""
    for pointer, refusal in _led_to(ctx):
        at = {refusal.host.strip("[]").lower(), refusal.address.lower()}
        if refusal.rule == "metadata" or at & (_METADATA | _METADATA_NAMES):
            reason = "The page led to a cloud metadata address, where credentials can be stolen."
            yield Finding(pointer, reason, _shown(refusal))


def inner_address(ctx: Context) -> Iterator[Finding]:
    """Find a public page that leads to a host of an inner network."""
    for pointer, refusal in _led_to(ctx):
        # Onion names belong to no inner network, but the policy lists them with the local names.
        is_inner = refusal.rule in _INNER_RULES and not _bare(refusal.host).endswith(".onion")
        if is_inner or _is_inner(refusal.address or refusal.host):
            reason = "The page led to an address of an inner network."
            yield Finding(pointer, reason, _shown(refusal))


def undialled_address(ctx: Context) -> Iterator[Finding]:
    """Find a report that names an address which the gateway never connected to.

    The fetcher has no other way to the network, so another program has written this report.
    """
    record = ctx.evidence.egress
    if record is None:
        return
    # The gateway's accounting records what was dialled, however much of the rest was dropped.
    dialled = {asked.address for asked in record.decisions}
    for i, hop in enumerate(ctx.evidence.hops):
        if hop.address is not None and hop.address not in dialled:
            reason = "The sandbox reported a connection that the gateway never made."
            yield Finding(f"/hops/{i}/address", reason, hop.address)


def other_name(ctx: Context) -> Iterator[Finding]:
    """Find a TLS connection that was opened to one host and asked for another.

    The gateway sent no byte of it. Neither our fetcher nor a browser opens such a connection.
    """
    record = ctx.evidence.egress
    for i, asked in enumerate(record.decisions if record else ()):
        if asked.rule == "sni_mismatch":
            reason = "A connection that was opened to one host asked for another one."
            yield Finding(f"/egress/decisions/{i}", reason, f"{asked.name} > {asked.sni}")


def http_anomaly(ctx: Context) -> Iterator[Finding]:
    """Find HTTP that violates the standard; browsers accept it, but few servers send it.

    Special programs serve phishing kits and cloaked pages, but also some cameras and printers.
    """
    reason = "A response was not written as HTTP is; browsers put up with it."
    for i, hop in enumerate(ctx.evidence.hops):
        if hop.anomalies:
            yield Finding(f"/hops/{i}/anomalies", reason, " ".join(hop.anomalies))
    body = ctx.evidence.body
    if body is not None and body.anomalies:
        yield Finding("/body/anomalies", reason, " ".join(body.anomalies))


def _led_to(ctx: Context) -> Iterator[tuple[str, Refusal]]:
    """Yield refusals of other hosts than the submitted one, whose owner may choose any address.

    The fetcher's refusals come first, then the gateway's, which also contain hidden ones.
    """
    submitted = _bare(ctx.start.target.host)
    rebound = frozenset(_rebound(ctx))
    for pointer, refusal in (*_by_fetcher(ctx), *_by_gateway(ctx)):
        if _bare(refusal.host) != submitted or pointer in rebound:
            yield pointer, refusal


def _rebound(ctx: Context) -> Iterator[str]:
    """Yield pointers to refusals of names that first had a public and later an inner address."""
    outside: set[str] = set()
    for i, asked in enumerate(ctx.evidence.egress.decisions if ctx.evidence.egress else ()):
        if asked.allowed and asked.addresses:
            outside.add(_bare(asked.name))
        elif _bare(asked.name) in outside and any(map(_is_inner, asked.addresses)):
            yield f"/egress/decisions/{i}"


def _by_fetcher(ctx: Context) -> Iterator[tuple[str, Refusal]]:
    for i, refusal in enumerate(ctx.evidence.refusals):
        yield f"/refusals/{i}", refusal


def _by_gateway(ctx: Context) -> Iterator[tuple[str, Refusal]]:
    record = ctx.evidence.egress
    for i, asked in enumerate(record.decisions if record else ()):
        # A refusal after the host was dialled was not because of its address.
        if not asked.allowed and not asked.address:
            refusal = Refusal(
                host=asked.name, port=asked.port, rule=asked.rule, address=_refused_address(asked)
            )
            yield f"/egress/decisions/{i}", refusal


def _refused_address(asked: EgressDecision) -> str:
    """Return the address that caused the refusal; one of several is enough."""
    bad = (address for address in asked.addresses if not judge_address(address).allowed)
    return next(bad, asked.addresses[0] if asked.addresses else "")


def _bare(host: str) -> str:
    return host.strip("[]").lower().rstrip(".")


def _is_inner(literal: str) -> bool:
    try:
        address = ip_address(literal.strip("[]"))
    except ValueError:
        return False
    return any(
        judge_address(each).rule in _INNER_ADDRESSES for each in (address, *_carried(address))
    )


def _carried(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address]:
    for network, below in _CARRIERS:
        if address in network:
            yield IPv4Address(int(address) >> below & 0xFFFF_FFFF)


def _shown(refusal: Refusal) -> str:
    return f"{refusal.host}:{refusal.port} {refusal.address} ({refusal.rule})"


RULES = (
    Rule(id="chain.many_sites", group=Group.CHAIN, weight=Weight.WEAK, check=many_sites),
    Rule(id="chain.downgrade", group=Group.CHAIN, weight=Weight.WEAK, check=downgrade),
    Rule(id="chain.shortener", group=Group.CHAIN, weight=Weight.FAINT, check=shortener),
    Rule(id="chain.http_anomaly", group=Group.CHAIN, weight=Weight.FAINT, check=http_anomaly),
    Rule(
        id="chain.metadata_address",
        version=2,
        group=Group.CHAIN,
        weight=Weight.STRONG,
        categories=(Category.MALWARE,),
        check=metadata_address,
    ),
    Rule(
        id="chain.inner_address",
        version=2,
        group=Group.CHAIN,
        weight=Weight.MODERATE,
        categories=(Category.SUSPICIOUS,),
        check=inner_address,
    ),
    Rule(
        id="chain.undialled_address",
        version=2,
        group=Group.CHAIN,
        weight=Weight.STRONG,
        categories=(Category.MALWARE,),
        check=undialled_address,
    ),
    Rule(
        id="chain.other_name",
        group=Group.CHAIN,
        weight=Weight.MODERATE,
        categories=(Category.SUSPICIOUS,),
        check=other_name,
    ),
)
