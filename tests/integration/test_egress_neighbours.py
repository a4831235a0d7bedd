"""The gateway refuses the neighbours of its host, whatever their addresses, and no other hosts.

The gateway runs in a network namespace. Its only link leads to a second namespace, which is its
neighbour and its router, and accepts connections to every address that it has.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from safeurl.address import Rule
from tests.support.egress import GatewayProcess, refusal
from tests.support.netns import Namespace, joined
from tests.support.user import needs_root
from worker.egress.protocol import EgressPolicy

pytestmark = needs_root

_PORT = 8080
#: All of them public addresses: the table itself refuses none.
_NEAR = (
    "addr add 11.22.33.2/24 dev link0",
    "addr add 2a01:4f8:1:2::2/64 dev link0 nodad",
    "route add default via 11.22.33.1",
    "route add default via 2a01:4f8:1:2::1",
)
_FAR = (
    *(f"addr add 11.22.33.{last}/24 dev link0" for last in (1, 7)),
    *(f"addr add 2a01:4f8:1:2::{last}/64 dev link0 nodad" for last in (1, 7)),
    *(f"addr add {address} dev lo" for address in ("8.8.4.4/32", "200.1.1.1/32")),
    "addr add 2620:fe::10/128 dev lo nodad",
)
#: An address that the gateway must still reach, over its default routes.
_INTERNET = ("8.8.4.4", "200.1.1.1", "[2620:fe::10]")
#: All of IPv4 except 10.0.0.0/8, like a VPN's list of routes.
_ALL_BUT_ONE = (
    *("0.0.0.0/5", "8.0.0.0/7", "11.0.0.0/8", "12.0.0.0/6", "16.0.0.0/4", "32.0.0.0/3"),
    *("64.0.0.0/2", "128.0.0.0/1"),
)


@dataclass(frozen=True, slots=True)
class Host:
    """The gateway in its namespace, and a socket that was bound before any change."""

    gateway: GatewayProcess
    near: Namespace
    directory: Path


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Connect the namespaces and run the gateway in one of them."""
    folder = tmp_path_factory.mktemp("neighbours")
    with joined(_NEAR, _FAR) as (near, far), far.listener(_PORT):
        gateway = GatewayProcess(folder, prefix=near.enter)
        with gateway:
            yield Host(gateway, near, gateway.open(EgressPolicy())[1])


def _rules(directory: Path, addresses: tuple[str, ...]) -> dict[str, str]:
    return {address: refusal(directory, f"{address}:{_PORT}") for address in addresses}


def _undone(command: str) -> str:
    if command.startswith("nexthop"):
        return " ".join(command.replace(" add ", " del ").split()[:4])
    kept = command.replace(" add ", " del ").partition(" nodad")[0]
    return kept.removesuffix(" noprefixroute")


def test_neighbours_with_global_addresses_are_refused(host: Host) -> None:
    """The router and another host on the link, in both families; hosts behind them are allowed."""
    rules = {
        "11.22.33.7": Rule.NEIGHBOUR,
        "11.22.33.200": Rule.NEIGHBOUR,
        "[2a01:4f8:1:2::7]": Rule.NEIGHBOUR,
        "11.22.33.1": Rule.OWN_ADDRESS,
        "11.22.33.2": Rule.OWN_ADDRESS,
        "[2a01:4f8:1:2::1]": Rule.OWN_ADDRESS,
        "[2a01:4f8:1:2::2]": Rule.OWN_ADDRESS,
        **dict.fromkeys(_INTERNET, ""),
    }
    assert _rules(host.directory, tuple(rules)) == rules


#: Commands that add a network, and the rule for an address of it.
_APPEARS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "a second network of the link": (
        ("addr add 11.77.0.1/24 dev link0",),
        {"11.77.0.9": Rule.NEIGHBOUR, "11.77.0.1": Rule.OWN_ADDRESS},
    ),
    "a link": (
        (
            "link add link1 type veth peer name link2",
            "addr add 2a00:1:2:3::1/64 dev link1 nodad",
            "addr add 13.9.0.1/20 dev link1",
            "link set link2 up",
            "link set link1 up",
        ),
        {"[2a00:1:2:3::99]": Rule.NEIGHBOUR, "13.9.15.1": Rule.NEIGHBOUR},
    ),
    "a route over a neighbour": (
        ("route add 13.0.0.0/16 via 11.22.33.7", "route add 2a00:2::/32 via 2a01:4f8:1:2::7"),
        {"13.0.1.1": Rule.NEIGHBOUR, "[2a00:2::1]": Rule.NEIGHBOUR},
    ),
    "a route over the router": (
        ("route add 13.6.0.0/16 via 11.22.33.1",),
        {"13.6.1.1": Rule.NEIGHBOUR},
    ),
    "a table of a policy": (
        (
            "route add 13.1.0.0/16 via 11.22.33.7 table 123",
            "route add 2a00:3::/32 via 2a01:4f8:1:2::7 table 70000",
        ),
        {"13.1.1.1": Rule.NEIGHBOUR, "[2a00:3::1]": Rule.NEIGHBOUR},
    ),
    "several paths": (
        (
            "route add 13.2.0.0/16 nexthop via 11.22.33.7 dev link0 nexthop via 11.22.33.8",
            "route add 2a00:4::/32 nexthop via 2a01:4f8:1:2::7 nexthop via 2a01:4f8:1:2::8",
        ),
        {"13.2.1.1": Rule.NEIGHBOUR, "[2a00:4::1]": Rule.NEIGHBOUR},
    ),
    "a next hop of its own": (
        ("nexthop add id 7 via 11.22.33.7 dev link0", "route add 13.5.0.0/16 nhid 7"),
        {"13.5.1.1": Rule.NEIGHBOUR},
    ),
    "a next hop on no network": (
        ("route add 13.3.0.0/16 via 15.0.0.1 dev link0 onlink",),
        {"13.3.1.1": Rule.NEIGHBOUR, "15.0.0.1": Rule.NEIGHBOUR, "15.0.0.2": "connect_refused"},
    ),
    "a next hop of the other family": (
        ("route add 13.4.0.0/16 via inet6 fe80::77 dev link0",),
        {"13.4.1.1": Rule.NEIGHBOUR},
    ),
    "what the host does not forward": (
        tuple(
            f"route add {kind} 17.{number}.0.0/16"
            for number, kind in enumerate(("blackhole", "unreachable", "prohibit", "throw"))
        ),
        {f"17.{number}.1.1": Rule.NEIGHBOUR for number in range(4)},
    ),
    "single hosts": (
        ("route add 18.1.1.1/32 via 11.22.33.1", "route add 2a00:5::1/128 via 2a01:4f8:1:2::1"),
        {"18.1.1.1": Rule.NEIGHBOUR, "[2a00:5::1]": Rule.NEIGHBOUR},
    ),
    "the other end of a point-to-point link": (
        ("addr add 14.0.0.1 peer 14.0.0.2/32 dev link0",),
        {"14.0.0.1": Rule.OWN_ADDRESS, "14.0.0.2": Rule.NEIGHBOUR},
    ),
    "a network that has no route": (
        (
            # Deprecated, so that the gateway does not connect from it.
            "addr add 2a00:9::5/64 dev link0 nodad noprefixroute preferred_lft 0",
            "addr add 14.9.0.5/24 dev link0 noprefixroute",
            "addr add 14.8.0.1 peer 14.8.0.2/32 dev link0 noprefixroute",
        ),
        {
            "[2a00:9::77]": Rule.NEIGHBOUR,
            "14.9.0.77": Rule.NEIGHBOUR,
            "14.8.0.2": Rule.NEIGHBOUR,
        },
    ),
    "a network that is the host's as a whole": (
        ("route add local 16.1.0.0/24 dev lo", "route add local 2a00:6::/64 dev lo"),
        {"16.1.0.9": Rule.OWN_ADDRESS, "[2a00:6::9]": Rule.OWN_ADDRESS},
    ),
    "a network inside a split default route": (
        (
            "route add 0.0.0.0/1 via 11.22.33.1",
            "route add 128.0.0.0/1 via 11.22.33.1",
            "route add 19.1.0.0/16 via 11.22.33.1",
        ),
        {"19.1.1.1": Rule.NEIGHBOUR},
    ),
}


@pytest.mark.parametrize("name", _APPEARS)
def test_a_network_that_appears_is_refused_at_once(host: Host, name: str) -> None:
    """The next connection is refused: of a scan that already runs, and of one that is bound now."""
    commands, rules = _APPEARS[name]
    host.near.ip(*commands)
    try:
        assert _rules(host.directory, tuple(rules)) == rules
        bound_now = host.gateway.open(EgressPolicy())[1]
        assert _rules(bound_now, (*rules, *_INTERNET)) == rules | dict.fromkeys(_INTERNET, "")
    finally:
        if name == "a link":
            host.near.ip("link del link1")
        else:
            host.near.ip(*map(_undone, reversed(commands)))


_STAYS_OPEN = {
    "halves": [f"route add {net} via 11.22.33.1" for net in ("0.0.0.0/1", "128.0.0.0/1")],
    "halves of IPv6": [f"route add {net} via 2a01:4f8:1:2::1" for net in ("::/1", "8000::/1")],
    "the Internet's part of IPv6": ["route add 2000::/3 via 2a01:4f8:1:2::1"],
    "halves on the link": [
        f"route add {net} dev link0 table 9" for net in ("0.0.0.0/1", "128.0.0.0/1")
    ],
    "all but one network": [f"route add {net} via 11.22.33.1" for net in _ALL_BUT_ONE],
    "quarters over several tables": [
        f"route add {16 * i}.0.0.0/4 via 11.22.33.1 table {10 + i}" for i in range(16)
    ],
    "a second default": ["route add default via 11.22.33.1 dev link0 onlink metric 5"],
    "a default on the link": ["route add default dev link0 metric 9"],
    "a default of several paths": [
        "route add default metric 7 nexthop via 11.22.33.1 nexthop via 11.22.33.7"
    ],
    "a default that is refused": [
        "route add unreachable default metric 99",
        "route add unreachable ::/0 dev lo metric 4096",
    ],
    "a transparent proxy's": [
        "route add local 0.0.0.0/0 dev lo table 100",
        "route add local ::/0 dev lo table 100",
    ],
}


@pytest.mark.parametrize("name", _STAYS_OPEN)
def test_a_default_route_in_any_shape_refuses_nothing(host: Host, name: str) -> None:
    """Neither the parts of a VPN's split default route, nor routes that name no network."""
    commands = _STAYS_OPEN[name]
    host.near.ip(*commands)
    try:
        bound_now = host.gateway.open(EgressPolicy())[1]
        for directory in (host.directory, bound_now):
            assert _rules(directory, _INTERNET) == dict.fromkeys(_INTERNET, "")
            assert _rules(directory, ("11.22.33.200",)) == {"11.22.33.200": Rule.NEIGHBOUR}
    finally:
        host.near.ip(*map(_undone, reversed(commands)))


def test_only_an_exception_as_narrow_as_the_network_opens_it(host: Host) -> None:
    """An exception opens the network itself or a part of it; a wider range does not."""
    neighbour = ("11.22.33.7", "[2a01:4f8:1:2::7]")
    for allow, expected in (
        (("0.0.0.0/0", "::/0"), Rule.NEIGHBOUR),
        (("11.22.32.0/23", "2a01:4f8:1::/48"), Rule.NEIGHBOUR),
        (("11.22.33.0/24", "2a01:4f8:1:2::/64"), ""),
        (("11.22.33.7/32", "2a01:4f8:1:2::7/128"), ""),
    ):
        directory = host.gateway.open(EgressPolicy(allow_cidrs=allow))[1]
        assert _rules(directory, neighbour) == dict.fromkeys(neighbour, expected), allow


def test_a_network_that_is_gone_is_open_for_the_next_scan(host: Host) -> None:
    """An address of a removed network is judged like any other."""
    command = "route add 8.8.4.0/24 via 11.22.33.1"
    host.near.ip(command)
    assert _rules(host.directory, ("8.8.4.4",)) == {"8.8.4.4": Rule.NEIGHBOUR}
    host.near.ip(_undone(command))
    bound_now = host.gateway.open(EgressPolicy())[1]
    assert _rules(bound_now, ("8.8.4.4",)) == {"8.8.4.4": ""}
