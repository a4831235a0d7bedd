"""The doctor's line about the networks of this host, from the gateway's response."""

from ipaddress import ip_network

import pytest

from worker.doctor.checks.neighbours import neighbours_finding
from worker.doctor.finding import Status
from worker.egress.networks.inventory import summarize
from worker.egress.networks.local_addresses import HostNetworks
from worker.egress.protocol import NetworkInventory


def _host(*own: str, defaults: tuple[int, ...] = (4, 6)) -> HostNetworks:
    beside = ("10.0.0.0/24", "11.0.0.0/24", "2a00:1::/64")
    return HostNetworks(
        tuple(map(ip_network, own)), tuple(map(ip_network, beside)), frozenset(defaults)
    )


@pytest.mark.parametrize(
    ("host", "denied", "unknown"),
    [
        (_host("11.0.0.1", "2a00:1::1"), (), ()),
        (_host("10.0.0.1", "2a00:1::1"), (), (4,)),
        (_host("10.0.0.1", "fd00::1", "fe80::1"), (), (4, 6)),
        (_host("10.0.0.1", "fd00::1", defaults=(4,)), (), (4,)),
        (_host("10.0.0.1", "fe80::1", defaults=()), (), ()),
        (_host("10.0.0.1", "2a00:1::1"), ("8.8.8.0/24",), ()),
        (_host("10.0.0.1", "2a00:1::1"), ("10.9.0.0/16", "2a00:2::/32"), (4,)),
    ],
)
def test_a_public_address_is_known_from_an_interface_or_a_setting(
    host: HostNetworks, denied: tuple[str, ...], unknown: tuple[int, ...]
) -> None:
    """With a default route, one of the two must name the address; private ranges do not count."""
    facts = summarize(host, denied)
    assert facts == NetworkInventory(neighbours=3, public_neighbours=2, unknown_public=unknown)


def test_the_line_counts_and_warns() -> None:
    """It passes if all is known; else it names the setting and its possible values."""
    known = NetworkInventory(neighbours=3, public_neighbours=2)
    assert neighbours_finding(known, (), ()).status is Status.PASS
    assert "3 networks" in neighbours_finding(known, (), ()).detail
    hidden = NetworkInventory(neighbours=3, unknown_public=(4,))
    found = neighbours_finding(hidden, (), ("8.8.8.8",))
    assert found.status is Status.WARN
    assert "IPv4" in found.detail
    assert "EGRESS_DENY_CIDRS" in found.advice
    assert "8.8.8.8" in found.advice
    assert neighbours_finding(hidden, ("9.9.9.0/24",), ()).status is Status.PASS
