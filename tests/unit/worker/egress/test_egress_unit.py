"""The systemd unit of the gateway refuses the ranges of the address policy's table, too."""

import ipaddress
from pathlib import Path

from safeurl.address import (
    _IPV4,  # The table itself: the unit is compared with every row.
    _IPV6,
    _IPV6_PUBLIC,
)

_UNIT = Path(__file__).parents[4] / "docker/systemd/safeurl-gateway.service"


def _values(name: str) -> list[str]:
    lines = [line for line in _UNIT.read_text().splitlines() if line.startswith(f"{name}=")]
    return [value for line in lines for value in line.partition("=")[2].split()]


def test_the_kernel_refuses_what_the_table_refuses() -> None:
    """`IPAddressDeny=` is the table: every range of it, and all of IPv6 but the public part."""
    ipv4 = ipaddress.collapse_addresses(network for network, _ in _IPV4)
    outside = ipaddress.IPv6Network("::/0").address_exclude(_IPV6_PUBLIC)
    ipv6 = ipaddress.collapse_addresses([*outside, *(network for network, _ in _IPV6)])
    assert _values("IPAddressDeny") == [str(network) for network in (*ipv4, *ipv6)]


def test_the_only_exception_is_the_resolver_of_systemd() -> None:
    """An allowed range takes precedence over a denied one, so there must be no other."""
    assert _values("IPAddressAllow") == ["127.0.0.53/32"]


def test_the_gateway_has_neither_docker_nor_secrets() -> None:
    """It has no group of Docker's, no user of the worker's, and no file with passwords."""
    assert _values("SupplementaryGroups") == []
    assert (_values("DynamicUser"), _values("User")) == (["yes"], ["safeurl-gateway"])
    assert _values("EnvironmentFile") == ["-/etc/safeurl/gateway.env"]
    assert {"-/run/docker.sock", "-/var/lib/safeurl"} <= set(_values("InaccessiblePaths"))
