"""The host's own addresses and its neighbours, found from routes and addresses."""

import os
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import pytest

from safeurl.address import AddressPolicy, Network, Rule, judge_address
from worker.egress.networks.local_addresses import (
    HostNetworkMonitor,
    HostNetworks,
    closed_networks,
    host_networks,
    read_networks,
)
from worker.egress.networks.route import InterfaceAddress, Kind, Route


def _route(network: str, *hops: str, kind: Kind = Kind.UNICAST, table: int = 254) -> Route:
    return Route(ip_network(network), kind, table, (2,), tuple(map(ip_address, hops)))


def _address(local: str, network: str) -> InterfaceAddress:
    return InterfaceAddress(ip_address(local), ip_network(network))


def _names(networks: tuple[Network, ...]) -> list[str]:
    return list(map(str, networks))


def test_a_host_with_docker() -> None:
    """Addresses and default next hops are its own, links are neighbours, loopback is neither."""
    routes = [
        _route("0.0.0.0/0", "192.0.2.1"),
        _route("172.17.0.0/16"),
        _route("192.0.2.0/24"),
        _route("127.0.0.0/8", kind=Kind.LOCAL, table=255),
        _route("172.17.0.1/32", kind=Kind.LOCAL, table=255),
        _route("192.0.2.9/32", kind=Kind.LOCAL, table=255),
        _route("192.0.2.255/32", kind=Kind.BROADCAST, table=255),
        _route("2001:db8::5/128", kind=Kind.LOCAL, table=255),
        _route("ff00::/8", kind=Kind.MULTICAST, table=255),
    ]
    addresses = [
        _address("127.0.0.1", "127.0.0.0/8"),
        _address("192.0.2.9", "192.0.2.0/24"),
        _address("::1", "::1/128"),
        _address("2001:db8::5", "2001:db8::/64"),
    ]
    host = read_networks(routes, addresses)
    assert _names(host.own) == [
        *("172.17.0.1/32", "192.0.2.1/32", "192.0.2.9/32", "2001:db8::5/128"),
    ]
    assert _names(host.neighbours) == ["172.17.0.0/16", "192.0.2.0/24", "2001:db8::/64"]
    assert host.defaults == {4}


@pytest.mark.parametrize(
    ("networks", "pieces"),
    [
        (("0.0.0.0/1", "128.0.0.0/1"), 2),
        (("0.0.0.0/1",), 1),
        (("1.0.0.0/8", "2.0.0.0/7", "4.0.0.0/6", "8.0.0.0/5", "16.0.0.0/4", "32.0.0.0/3",
          "64.0.0.0/2", "128.0.0.0/1"), 8),
        # All but one host, like the route of a VPN around its own server.
        (tuple(map(str, IPv4Network("0.0.0.0/0").address_exclude(IPv4Network("9.9.9.9/32")))), 32),
        (("0.0.0.0/1", "128.0.0.0/1", "203.0.113.0/24", "203.0.113.7/32"), 2),
        (("10.0.0.0/8", "172.16.0.0/12"), 0),
        (("17.0.0.0/8",), 0),
        (("2000::/3",), 1),
        (("::/1", "8000::/1"), 2),
        (("2000::/4", "3000::/4"), 2),
        (("2600::/12",), 1),
        (("2a00::/13",), 0),
        (("8000::/1", "fd00::/48"), 1),
        (tuple(map(str, IPv6Network("2000::/3").address_exclude(IPv6Network("2a01::/32")))), 29),
    ],
)  # fmt: skip
def test_pieces_of_a_default_route_are_no_neighbours(
    networks: tuple[str, ...], pieces: int
) -> None:
    """Routes over one next hop that cover most of the Internet are a default route."""
    host = read_networks([_route(each, "fe80::1") for each in networks], [])
    kept = [each for each in host.neighbours if each != ip_network("fe80::1/128")]
    assert len(kept) == len(networks) - pieces
    assert bool(host.defaults) == bool(pieces)


def test_closed_networks_leave_out_what_an_exception_opens() -> None:
    """Denied ranges refuse the same addresses as networks with exceptions."""
    allow = tuple(
        ip_network(each)
        for each in ("0.0.0.0/0", "11.1.0.0/24", "11.2.0.7/32", "11.3.0.0/16", "2a00::/64")
    )
    own = tuple(map(ip_network, ("11.1.0.1/32", "11.2.0.7/32", "2a00::1/128")))
    beside = (
        "11.1.0.0/24",
        "11.2.0.0/24",
        "11.3.4.0/24",
        "11.3.4.5/32",
        "2a00::/64",
        "2a00::2/128",
    )
    host = HostNetworks(own, tuple(map(ip_network, beside)))
    direct = AddressPolicy(allow=allow, own=host.own, neighbours=host.neighbours)
    denied = AddressPolicy(allow=allow, deny=tuple(closed_networks(host, allow)))
    opened = {"11.1.0.9", "11.2.0.7", "2a00::9", "11.3.9.9", "9.9.9.9"}
    shut = {"11.1.0.1", "11.2.0.8", "11.3.4.9", "11.3.4.5", "2a00::1", "2a00::2"}
    for address in opened | shut:
        rulings = [judge_address(address, each).allowed for each in (direct, denied)]
        assert rulings == [address in opened] * 2, address


def test_the_kernel_is_asked_and_says_the_same_again() -> None:
    """The tables of this machine are read through a real socket, also after a fork."""
    known = HostNetworkMonitor()
    first = known.networks()
    assert known.networks() is first
    assert known.networks(anew=True) == first == host_networks()
    child = os.fork()
    if child == 0:
        os._exit(0 if known.networks() == first else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize(
    ("address", "rule"),
    [
        ("9.1.1.1", Rule.NEIGHBOUR),
        ("10.1.1.1", Rule.NEIGHBOUR),
        ("10.2.2.2", Rule.ALLOWED_BY_SETTING),
        ("192.168.1.1", Rule.PRIVATE),
        ("9.2.1.1", Rule.PUBLIC),
        ("::ffff:9.1.1.1", Rule.NEIGHBOUR),
        ("64:ff9b::901:101", Rule.NEIGHBOUR),
        ("64:ff9b::902:101", Rule.PUBLIC),
    ],
)
def test_a_neighbour_is_named_where_the_table_does_not_say_more(address: str, rule: Rule) -> None:
    """An address that the table refuses anyway keeps the table's rule.

    An exception that is too wide does not allow a neighbour, and the rule shows this.
    """
    policy = AddressPolicy(
        allow=(ip_network("10.0.0.0/8"),),
        neighbours=tuple(map(ip_network, ("9.1.0.0/16", "10.1.0.0/16", "192.168.1.0/24"))),
        dns64=True,
    )
    assert judge_address(address, policy).rule is rule
