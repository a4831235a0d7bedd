"""Which addresses and ports SafeURL connects to: our own table, one named rule per reason.

`ipaddress.is_global` is not used: its result differs between patch releases of Python, and it is
true for several spellings of loopback addresses and for cloud metadata services. The ranges come
from the IANA special-purpose registries (RFC 6890) and from the documentation of the cloud
providers.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Annotated, Final, TypeVar

from msgspec import Meta, Struct

from safeurl.errors import ConfigError

Raw = TypeVar("Raw")
Read = TypeVar("Read")
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Port = Annotated[int, Meta(ge=1, le=65535)]


class Rule(StrEnum):
    """Why an address or a port is allowed or refused."""

    PUBLIC = "public"
    ALLOWED_BY_SETTING = "allowed_by_setting"
    DENIED_BY_SETTING = "denied_by_setting"
    OWN_ADDRESS = "own_address"
    NEIGHBOUR = "neighbour"
    NOT_AN_ADDRESS = "not_an_address"
    NO_ADDRESS = "no_address"
    SCOPED = "scoped"
    UNSPECIFIED = "unspecified"
    LOOPBACK = "loopback"
    PRIVATE = "private"
    LINK_LOCAL = "link_local"
    METADATA = "metadata"
    CGNAT = "cgnat"
    MULTICAST = "multicast"
    DOCUMENTATION = "documentation"
    BENCHMARKING = "benchmarking"
    AS112 = "as112"
    AMT = "amt"
    SIXTOFOUR = "sixtofour"
    TEREDO = "teredo"
    NAT64 = "nat64"
    V4_COMPATIBLE = "v4_compatible"
    V4_TRANSLATED = "v4_translated"
    RESERVED = "reserved"
    PORT_OPEN = "port_open"
    PORT_INVALID = "port_invalid"
    PORT_PRIVILEGED = "port_privileged"
    PORT_SERVICE = "port_service"


class Ruling(Struct, frozen=True):
    """A decision and the rule that made it. Evidence and error messages show the rule's value."""

    allowed: bool
    rule: Rule


#: The first match decides, so single hosts stand before the ranges that contain them.
_IPV4: Final = tuple(
    (IPv4Network(cidr), rule)
    for cidr, rule in (
        ("169.254.169.254/32", Rule.METADATA),  # AWS, Google, Azure, OpenStack and others
        ("169.254.170.2/32", Rule.METADATA),  # AWS container credentials
        ("100.100.100.200/32", Rule.METADATA),  # Alibaba
        ("168.63.129.16/32", Rule.METADATA),  # Azure's host agent, in public space
        ("192.0.0.192/32", Rule.METADATA),  # Oracle
        ("0.0.0.0/8", Rule.UNSPECIFIED),
        ("10.0.0.0/8", Rule.PRIVATE),
        ("100.64.0.0/10", Rule.CGNAT),
        ("127.0.0.0/8", Rule.LOOPBACK),
        ("169.254.0.0/16", Rule.LINK_LOCAL),
        ("172.16.0.0/12", Rule.PRIVATE),
        ("192.0.0.0/24", Rule.RESERVED),
        ("192.0.2.0/24", Rule.DOCUMENTATION),
        ("192.31.196.0/24", Rule.AS112),
        ("192.52.193.0/24", Rule.AMT),
        ("192.88.99.0/24", Rule.SIXTOFOUR),
        ("192.168.0.0/16", Rule.PRIVATE),
        ("192.175.48.0/24", Rule.AS112),
        ("198.18.0.0/15", Rule.BENCHMARKING),
        ("198.51.100.0/24", Rule.DOCUMENTATION),
        ("203.0.113.0/24", Rule.DOCUMENTATION),
        ("224.0.0.0/4", Rule.MULTICAST),
        ("240.0.0.0/4", Rule.RESERVED),
    )
)

#: The refused ranges inside `_IPV6_PUBLIC`, and rules for the best-known ranges outside it.
_IPV6: Final = tuple(
    (IPv6Network(cidr), rule)
    for cidr, rule in (
        ("fd00:ec2::254/128", Rule.METADATA),  # AWS
        ("fd20:ce::254/128", Rule.METADATA),  # Google
        ("2001::/32", Rule.TEREDO),
        ("2001::/23", Rule.RESERVED),
        ("2001:db8::/32", Rule.DOCUMENTATION),
        ("2002::/16", Rule.SIXTOFOUR),
        ("2620:4f:8000::/48", Rule.AS112),
        ("3ffe::/16", Rule.RESERVED),  # the 6bone, returned to IANA (RFC 3701)
        ("3fff::/20", Rule.DOCUMENTATION),
        ("::/128", Rule.UNSPECIFIED),
        ("::1/128", Rule.LOOPBACK),
        ("::/96", Rule.V4_COMPATIBLE),
        ("::ffff:0:0:0/96", Rule.V4_TRANSLATED),
        ("64:ff9b::/96", Rule.NAT64),
        ("64:ff9b:1::/48", Rule.NAT64),
        ("fc00::/7", Rule.PRIVATE),
        ("fe80::/10", Rule.LINK_LOCAL),
        ("fec0::/10", Rule.PRIVATE),
        ("ff00::/8", Rule.MULTICAST),
    )
)
_IPV6_PUBLIC: Final = IPv6Network("2000::/3")
_IPV6_MAPPED: Final = IPv6Network("::ffff:0:0/96")
#: The well-known prefix of RFC 6052. A prefix that a network chose from its own addresses is not
#: recognised as DNS64.
_DNS64: Final = IPv6Network("64:ff9b::/96")

_WEB_PORTS: Final = frozenset({80, 443})
_FIRST_FREE_PORT: Final = 1024
_LAST_PORT: Final = 65535

#: Ports of services that a forged HTTP request may harm. Browsers refuse some of them for this
#: reason (the "bad ports" of the Fetch standard). The others belong to databases, remote consoles
#: and control planes.
_SERVICE_PORTS: Final = frozenset(
    {
        *(1080, 3128),  # SOCKS and HTTP proxies, which would connect to other hosts for us
        *(1099, 1433, 1434, 1521, 3306, 5432, 5984, 9042),  # RMI and SQL and document stores
        *(1719, 1720, 1723, 5060, 5061),  # H.323, PPTP, SIP
        *(1883, 4369, 5671, 5672, 8883, 9092),  # MQTT, EPMD, AMQP, Kafka
        *(2049, 3659, 4045, 4190, 6566, 10080),  # NFS and others that browsers refuse
        *(2181, 2375, 2376, 2377, 2379, 2380),  # ZooKeeper, Docker, etcd
        *(3268, 3269, 3389, 5985, 5986),  # Active Directory, RDP, WinRM
        *range(5900, 5910),  # VNC
        *range(6000, 6064),  # X11
        *(6379, 6380, 11211, 16379, 26379),  # Redis, memcached
        *(6443, 10250, 10255),  # Kubernetes
        *(*range(6665, 6670), 6679, 6697),  # IRC
        *(9200, 9300, 27017, 27018, 27019),  # Elasticsearch, MongoDB
    }
)


class PolicyOverrides(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The operator's exceptions from the address policy, as the settings hold them.

    The worker sends them to the fetcher and to the gateway; `AddressPolicy.parse` reads them.
    """

    allow_cidrs: tuple[str, ...] = ()
    deny_cidrs: tuple[str, ...] = ()
    #: Ports that are allowed besides the default ones, and ports that are denied.
    allow_ports: tuple[Port, ...] = ()
    deny_ports: tuple[Port, ...] = ()
    #: True if an address of a DNS64 server is checked by the IPv4 address inside it (RFC 6147).
    dns64: bool = False


class AddressPolicy(Struct, frozen=True):
    """The operator's changes to the table; made by `parse`, which normalises the ranges.

    The checks have this order. A denied range is refused, whatever other rules allow. Then the
    host's own addresses and its neighbour networks are refused, unless an exception names exactly
    that network or a part of it. A wider exception, such as 10.0.0.0/8, therefore does not allow
    the worker, Docker's gateway or a neighbour by accident. Then the other exceptions are allowed.
    The table decides last.
    """

    allow: tuple[Network, ...] = ()
    deny: tuple[Network, ...] = ()
    allow_ports: frozenset[int] = frozenset()
    deny_ports: frozenset[int] = frozenset()
    #: Addresses of this host and of its Docker gateways.
    own: tuple[Network, ...] = ()
    #: The networks on this host's links, and those to which it has a specific route.
    neighbours: tuple[Network, ...] = ()
    #: True if an address of a DNS64 server is checked by the IPv4 address inside it (RFC 6147).
    dns64: bool = False

    @classmethod
    def parse(cls, overrides: PolicyOverrides, own: Iterable[str] = ()) -> "AddressPolicy":
        """Return the policy with the operator's exceptions; raise `ConfigError` with all faults."""
        faults: list[str] = []
        policy = cls(
            allow=_networks("EGRESS_ALLOW_CIDRS", overrides.allow_cidrs, faults),
            deny=_networks("EGRESS_DENY_CIDRS", overrides.deny_cidrs, faults),
            allow_ports=_ports("EGRESS_ALLOW_PORTS", overrides.allow_ports, faults),
            deny_ports=_ports("EGRESS_DENY_PORTS", overrides.deny_ports, faults),
            own=_networks("The host's own addresses", own, faults),
            dns64=overrides.dns64,
        )
        if faults:
            raise ConfigError(tuple(faults))
        return policy


DEFAULT_POLICY: Final = AddressPolicy()


def judge_address(address: str | Address, policy: AddressPolicy = DEFAULT_POLICY) -> Ruling:
    """Return the decision about one address. Text that is not an address is refused.

    An IPv4-mapped address is checked as IPv4. If the policy has `dns64` set, an address of a DNS64
    server is checked together with the IPv4 address inside it: the policy's ranges apply to both
    addresses, and the table applies to the IPv4 address.
    """
    if "%" in str(address):
        return Ruling(allowed=False, rule=Rule.SCOPED)
    try:
        parsed = ip_address(address)
    except ValueError:
        return Ruling(allowed=False, rule=Rule.NOT_AN_ADDRESS)
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return _judge(parsed, policy)


def _judge(parsed: Address, policy: AddressPolicy) -> Ruling:
    embedded = _embedded(parsed) if policy.dns64 else parsed
    forms = {parsed, embedded}
    rule = _table_rule(embedded)
    if _contains(policy.deny, forms):
        return Ruling(allowed=False, rule=Rule.DENIED_BY_SETTING)
    if _is_protected(policy.own, forms, policy.allow):
        return Ruling(allowed=False, rule=Rule.OWN_ADDRESS)
    is_excepted = _contains(policy.allow, forms)
    if _is_protected(policy.neighbours, forms, policy.allow):
        # Where the table refuses the address too, its rule is more precise than NEIGHBOUR.
        refused_anyway = rule is not Rule.PUBLIC and not is_excepted
        return Ruling(allowed=False, rule=rule if refused_anyway else Rule.NEIGHBOUR)
    if is_excepted:
        return Ruling(allowed=True, rule=Rule.ALLOWED_BY_SETTING)
    return Ruling(allowed=rule is Rule.PUBLIC, rule=rule)


def _contains(networks: Iterable[Network], forms: Iterable[Address]) -> bool:
    return any(form in network for network in networks for form in forms)


def _is_protected(
    networks: Iterable[Network], forms: Iterable[Address], exceptions: Iterable[Network]
) -> bool:
    """Return whether a network has the address and no exception is as narrow as that network."""
    return any(
        form in network
        and not any(form in each and each.prefixlen >= network.prefixlen for each in exceptions)
        for network in networks
        for form in forms
    )


def _embedded(address: Address) -> Address:
    """Return the IPv4 address inside an address of a DNS64 server, or any other address itself."""
    if isinstance(address, IPv6Address) and address in _DNS64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def judge_all(addresses: Iterable[str | Address], policy: AddressPolicy = DEFAULT_POLICY) -> Ruling:
    """Return the decision about a name with these addresses.

    One refused address refuses the name. A name without an address is refused.
    """
    rulings = [judge_address(address, policy) for address in addresses]
    if not rulings:
        return Ruling(allowed=False, rule=Rule.NO_ADDRESS)
    return next((ruling for ruling in rulings if not ruling.allowed), rulings[0])


def judge_port(port: int, policy: AddressPolicy = DEFAULT_POLICY) -> Ruling:
    """Return the decision about a TCP port; a denied port stays denied if it is allowed too."""
    if not 0 < port <= _LAST_PORT:
        return Ruling(allowed=False, rule=Rule.PORT_INVALID)
    if port in policy.deny_ports:
        return Ruling(allowed=False, rule=Rule.DENIED_BY_SETTING)
    if port in policy.allow_ports:
        return Ruling(allowed=True, rule=Rule.ALLOWED_BY_SETTING)
    if port in _SERVICE_PORTS:
        return Ruling(allowed=False, rule=Rule.PORT_SERVICE)
    if port < _FIRST_FREE_PORT and port not in _WEB_PORTS:
        return Ruling(allowed=False, rule=Rule.PORT_PRIVILEGED)
    return Ruling(allowed=True, rule=Rule.PORT_OPEN)


def _table_rule(address: Address) -> Rule:
    table: Iterable[tuple[Network, Rule]]
    table, rest = _IPV4, Rule.PUBLIC
    if isinstance(address, IPv6Address):
        # All addresses outside the public range are refused, also those without a row.
        table, rest = _IPV6, Rule.PUBLIC if address in _IPV6_PUBLIC else Rule.RESERVED
    return next((rule for network, rule in table if address in network), rest)


def _networks(name: str, cidrs: Iterable[str], faults: list[str]) -> tuple[Network, ...]:
    return tuple(_each(name, cidrs, _network, faults))


def _network(cidr: str) -> Network:
    network = ip_network(cidr.strip())
    if isinstance(network, IPv6Network) and network.subnet_of(_IPV6_MAPPED):
        # Mapped addresses are checked as IPv4, so a range of them must become an IPv4 range.
        start = IPv4Address(int(network.network_address) & 0xFFFF_FFFF)
        return IPv4Network((start, network.prefixlen - _IPV6_MAPPED.prefixlen))
    return network


def _ports(name: str, ports: Iterable[int], faults: list[str]) -> frozenset[int]:
    return frozenset(_each(name, ports, _port, faults))


def _port(port: int) -> int:
    if not 0 < port <= _LAST_PORT:
        raise ValueError(f"{port!r} is not a port; ports are 1 to {_LAST_PORT}")
    return port


def _each(
    name: str, values: Iterable[Raw], read: Callable[[Raw], Read], faults: list[str]
) -> list[Read]:
    results = []
    for value in values:
        try:
            results.append(read(value))
        except ValueError as error:
            faults.append(f"{name}: {error}.")
    return results
