"""The address policy: every range by name, settings and their precedence, ports."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeurl.address import (
    DEFAULT_POLICY,
    AddressPolicy,
    PolicyOverrides,
    Rule,
    Ruling,
    judge_address,
    judge_all,
    judge_port,
)
from safeurl.errors import ConfigError

REFUSED = {
    "0.0.0.0": Rule.UNSPECIFIED,
    "0.1.2.3": Rule.UNSPECIFIED,
    "10.0.0.1": Rule.PRIVATE,
    "10.255.255.255": Rule.PRIVATE,
    "100.64.0.1": Rule.CGNAT,
    "100.100.100.200": Rule.METADATA,
    "100.127.255.255": Rule.CGNAT,
    "127.0.0.1": Rule.LOOPBACK,
    "127.127.127.127": Rule.LOOPBACK,
    "168.63.129.16": Rule.METADATA,
    "169.254.0.1": Rule.LINK_LOCAL,
    "169.254.169.254": Rule.METADATA,
    "169.254.170.2": Rule.METADATA,
    "172.16.0.1": Rule.PRIVATE,
    "172.31.255.255": Rule.PRIVATE,
    "192.0.0.1": Rule.RESERVED,
    "192.0.0.192": Rule.METADATA,
    "192.0.2.1": Rule.DOCUMENTATION,
    "192.31.196.1": Rule.AS112,
    "192.52.193.1": Rule.AMT,
    "192.88.99.1": Rule.SIXTOFOUR,
    "192.168.0.1": Rule.PRIVATE,
    "192.175.48.1": Rule.AS112,
    "198.18.0.1": Rule.BENCHMARKING,
    "198.19.255.255": Rule.BENCHMARKING,
    "198.51.100.1": Rule.DOCUMENTATION,
    "203.0.113.1": Rule.DOCUMENTATION,
    "224.0.0.1": Rule.MULTICAST,
    "239.255.255.255": Rule.MULTICAST,
    "240.0.0.1": Rule.RESERVED,
    "255.255.255.255": Rule.RESERVED,
    "::": Rule.UNSPECIFIED,
    "::1": Rule.LOOPBACK,
    "::127.0.0.1": Rule.V4_COMPATIBLE,
    "::ffff:127.0.0.1": Rule.LOOPBACK,
    "::ffff:10.0.0.1": Rule.PRIVATE,
    "::ffff:a9fe:a9fe": Rule.METADATA,
    "::ffff:0:127.0.0.1": Rule.V4_TRANSLATED,
    "64:ff9b::7f00:1": Rule.NAT64,
    "64:ff9b::101:101": Rule.NAT64,
    "64:ff9b:1::1": Rule.NAT64,
    "100::1": Rule.RESERVED,
    "2001::1": Rule.TEREDO,
    "2001:2::1": Rule.RESERVED,
    "2001:1ff:ffff::1": Rule.RESERVED,
    "2001:db8::1": Rule.DOCUMENTATION,
    "2002:7f00:1::": Rule.SIXTOFOUR,
    "2620:4f:8000::1": Rule.AS112,
    "3ffe::1": Rule.RESERVED,
    "3ffe:ffff:ffff::1": Rule.RESERVED,
    "3fff::1": Rule.DOCUMENTATION,
    "4000::1": Rule.RESERVED,
    "5f00::1": Rule.RESERVED,
    "fc00::1": Rule.PRIVATE,
    "fd00:ec2::254": Rule.METADATA,
    "fd20:ce::254": Rule.METADATA,
    "fe80::1": Rule.LINK_LOCAL,
    "fe80::1%eth0": Rule.SCOPED,
    "2606:4700::1111%1": Rule.SCOPED,
    "fec0::1": Rule.PRIVATE,
    "ff02::1": Rule.MULTICAST,
    "": Rule.NOT_AN_ADDRESS,
    "localhost": Rule.NOT_AN_ADDRESS,
    "127.1": Rule.NOT_AN_ADDRESS,
    "0177.0.0.1": Rule.NOT_AN_ADDRESS,
    "2130706433": Rule.NOT_AN_ADDRESS,
    " 1.1.1.1": Rule.NOT_AN_ADDRESS,
    "[::1]": Rule.NOT_AN_ADDRESS,
}

PUBLIC = (
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.0",
    "168.63.129.15",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "223.255.255.255",
    "::ffff:1.1.1.1",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700::1111",
    "2620:4f:8001::1",
    "3ffd:ffff::1",
)

SERVICE_PORTS = {
    "docker": 2375,
    "docker-tls": 2376,
    "elasticsearch": 9200,
    "elasticsearch-nodes": 9300,
    "etcd": 2379,
    "etcd-peers": 2380,
    "irc": 6667,
    "irc-tls": 6697,
    "kubelet": 10250,
    "kubelet-read-only": 10255,
    "kubernetes": 6443,
    "memcached": 11211,
    "mongodb": 27017,
    "mysql": 3306,
    "nfs": 2049,
    "postgres": 5432,
    "rdp": 3389,
    "redis": 6379,
    "sip": 5060,
    "vnc": 5900,
    "x11": 6000,
    "x11-last": 6063,
}


@pytest.mark.parametrize(("address", "rule"), REFUSED.items())
def test_an_address_that_is_not_public_is_refused_by_name(address: str, rule: Rule) -> None:
    """Each special range is refused, with the rule that names it."""
    assert judge_address(address) == Ruling(allowed=False, rule=rule)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_passes(address: str) -> None:
    """The neighbours of each refused range, and well-known hosts, are allowed."""
    assert judge_address(address) == Ruling(allowed=True, rule=Rule.PUBLIC)


@given(st.ip_addresses())
def test_text_and_object_are_judged_alike(address: IPv4Address | IPv6Address) -> None:
    """The type of an address has no effect on the decision."""
    assert judge_address(address) == judge_address(str(address))


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_judged_as_the_ipv4_address_in_it(address: IPv4Address) -> None:
    """`::ffff:a.b.c.d` connects to a.b.c.d, so both get the same decision."""
    policy = AddressPolicy.parse(
        PolicyOverrides(allow_cidrs=("10.0.0.0/8",), deny_cidrs=("8.0.0.0/8",)), own=["9.9.9.9"]
    )
    assert judge_address(f"::ffff:{address}", policy) == judge_address(address, policy)


@given(st.ip_addresses(v=6))
def test_nothing_outside_global_unicast_passes(address: IPv6Address) -> None:
    """Addresses that IANA has not assigned for the public Internet are refused."""
    if judge_address(address).allowed:
        assert address.ipv4_mapped or int(address) >> 125 == 1


@given(st.text())
def test_any_text_gets_a_ruling(text: str) -> None:
    """Hostile resolver output never raises."""
    assert isinstance(judge_address(text), Ruling)


def test_one_refused_address_refuses_the_name() -> None:
    """A name that also answers with a private address is a rebinding attempt."""
    assert judge_all(["1.1.1.1", "10.0.0.1", "::1"]) == Ruling(allowed=False, rule=Rule.PRIVATE)
    assert judge_all(["1.1.1.1", "2606:4700::1111"]) == Ruling(allowed=True, rule=Rule.PUBLIC)


def test_a_name_without_addresses_is_refused() -> None:
    """A name without an address is refused."""
    assert judge_all([]) == Ruling(allowed=False, rule=Rule.NO_ADDRESS)


def test_precedence_is_denied_then_own_then_allowed_then_the_table() -> None:
    """An exception opens a range of the table, but neither our own address nor a denied one."""
    policy = AddressPolicy.parse(
        PolicyOverrides(
            allow_cidrs=("10.0.0.0/8", "192.168.1.0/24"), deny_cidrs=("10.9.0.0/16", "8.8.8.0/24")
        ),
        own=["10.0.0.1", "10.9.0.1", "1.2.3.4"],
    )
    verdicts = {
        "10.1.1.1": Rule.ALLOWED_BY_SETTING,
        "10.0.0.1": Rule.OWN_ADDRESS,
        "10.9.0.1": Rule.DENIED_BY_SETTING,
        "8.8.8.8": Rule.DENIED_BY_SETTING,
        "1.2.3.4": Rule.OWN_ADDRESS,
        "192.168.2.1": Rule.PRIVATE,
        "1.1.1.1": Rule.PUBLIC,
    }
    assert {text: judge_address(text, policy).rule for text in verdicts} == verdicts


def test_a_range_in_mapped_notation_counts_for_ipv4() -> None:
    """A denied range is effective, also if it was written as `::ffff:…`."""
    policy = AddressPolicy.parse(
        PolicyOverrides(allow_cidrs=("::ffff:10.0.0.0/104",), deny_cidrs=("::ffff:8.8.8.8",))
    )
    assert judge_address("10.2.3.4", policy).rule is Rule.ALLOWED_BY_SETTING
    assert judge_address("8.8.8.8", policy).rule is Rule.DENIED_BY_SETTING


def test_dns64_is_decoded_and_judged_anew_where_the_setting_says_so() -> None:
    """A public address inside a DNS64 address is allowed, a private one is refused.

    Denied ranges count for both spellings, and a network's own prefix stays refused.
    """
    policy = AddressPolicy.parse(
        PolicyOverrides(deny_cidrs=("9.9.9.9", "64:ff9b::101:102"), dns64=True), own=["1.2.3.4"]
    )
    rulings = {
        "64:ff9b::101:101": Rule.PUBLIC,
        "64:ff9b::7f00:1": Rule.LOOPBACK,
        "64:ff9b::a9fe:a9fe": Rule.METADATA,
        "64:ff9b::a00:1": Rule.PRIVATE,
        "64:ff9b::909:909": Rule.DENIED_BY_SETTING,
        "64:ff9b::101:102": Rule.DENIED_BY_SETTING,
        "64:ff9b::102:304": Rule.OWN_ADDRESS,
        "64:ff9b:1::101:101": Rule.NAT64,
        "2606:4700::1111": Rule.PUBLIC,
        "fd00::1": Rule.PRIVATE,
    }
    assert {text: judge_address(text, policy).rule for text in rulings} == rulings
    assert judge_address("64:ff9b::101:101").rule is Rule.NAT64


def test_a_scoped_address_is_refused_even_inside_an_exception() -> None:
    """A zone names an interface of ours, and a URL must not choose one."""
    policy = AddressPolicy.parse(PolicyOverrides(allow_cidrs=("fe80::/10",)))
    assert judge_address("fe80::1", policy).allowed
    assert judge_address("fe80::1%eth0", policy).rule is Rule.SCOPED
    assert judge_address(ip_address("fe80::1%eth0"), policy).rule is Rule.SCOPED


def test_all_faults_of_the_settings_are_told_at_once() -> None:
    """The operator corrects every setting in one go."""
    with pytest.raises(ConfigError) as caught:
        AddressPolicy.parse(
            PolicyOverrides(
                allow_cidrs=("10.0.0.1/8", "10.0.0.0/8"),
                deny_cidrs=("nonsense",),
                allow_ports=(0,),
                deny_ports=(65536,),
            ),
            own=[""],
        )
    names = [fault.split(":")[0] for fault in caught.value.faults]
    assert names == [
        "EGRESS_ALLOW_CIDRS",
        "EGRESS_DENY_CIDRS",
        "EGRESS_ALLOW_PORTS",
        "EGRESS_DENY_PORTS",
        "The host's own addresses",
    ]


@pytest.mark.parametrize("port", [80, 443, 1024, 3000, 5000, 8000, 8080, 8443, 8888, 9000, 65535])
def test_a_web_port_is_open(port: int) -> None:
    """Phishing kits live on the web's ports and on those of web developers."""
    assert judge_port(port) == Ruling(allowed=True, rule=Rule.PORT_OPEN)


@pytest.mark.parametrize("port", SERVICE_PORTS.values(), ids=SERVICE_PORTS.keys())
def test_a_known_service_is_not_spoken_to(port: int) -> None:
    """A page must not make us send its text to a database or a control plane."""
    assert judge_port(port) == Ruling(allowed=False, rule=Rule.PORT_SERVICE)


@pytest.mark.parametrize("port", [1, 21, 22, 25, 79, 81, 111, 389, 444, 636, 1023])
def test_a_privileged_port_is_closed(port: int) -> None:
    """Below 1024 only 80 and 443 are the web."""
    assert judge_port(port) == Ruling(allowed=False, rule=Rule.PORT_PRIVILEGED)


@pytest.mark.parametrize("port", [-1, 0, 65536])
def test_what_is_no_port_is_refused_whatever_the_settings_say(port: int) -> None:
    """Even a policy that code constructs directly cannot allow it."""
    policy = AddressPolicy(allow_ports=frozenset({port}))
    assert judge_port(port, policy) == Ruling(allowed=False, rule=Rule.PORT_INVALID)


def test_port_settings_widen_and_narrow_and_denial_wins() -> None:
    """A lab may allow 6379 and deny 8080; a port in both lists is denied."""
    policy = AddressPolicy.parse(PolicyOverrides(allow_ports=(22, 6379, 81), deny_ports=(8080, 81)))
    assert judge_port(6379, policy) == Ruling(allowed=True, rule=Rule.ALLOWED_BY_SETTING)
    assert judge_port(22, policy).allowed
    assert judge_port(8080, policy) == Ruling(allowed=False, rule=Rule.DENIED_BY_SETTING)
    assert judge_port(81, policy) == Ruling(allowed=False, rule=Rule.DENIED_BY_SETTING)


def test_the_default_policy_has_no_exceptions() -> None:
    """Out of the box, the table alone decides."""
    assert AddressPolicy.parse(PolicyOverrides()) == DEFAULT_POLICY
