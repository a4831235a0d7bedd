"""The host's own addresses, as the kernel's tables name them."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from worker.egress.host import own_addresses, without_exceptions

_TRIE = """Main:
  +-- 0.0.0.0/0 3 0 4
     |-- 198.51.100.7
        /32 link UNICAST
Local:
  +-- 0.0.0.0/0 3 0 4
     |-- 127.0.0.0
        /8 host LOCAL
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 172.17.0.1
        /32 host LOCAL
     |-- 192.0.2.0
        /24 link UNICAST
     |-- 192.0.2.9
        /32 link UNICAST
        /32 host LOCAL
     |-- 192.0.2.255
        /32 link BROADCAST
"""
_INET6 = """00000000000000000000000000000001 01 80 10 80       lo
20010db8000000000000000000000005 02 40 00 80     eth0
"""
_ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
"""
_MORE_ROUTES = """eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t9\t00000000\t0\t0\t0
eth0\t000200C0\t070200C0\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth0\t00000000\t080200C0\t0003\t0\t0\t0\t00000080\t0\t0\t0
"""
_ZEROS = "0" * 32
_ROUTES_6 = f"""{_ZEROS} 00 {_ZEROS} 00 20010db8000000000000000000000001 00000400 1 0 3     eth0
{_ZEROS} 00 {_ZEROS} 00 {_ZEROS} ffffffff 1 0 200200       lo
20010db8000000000000000000000000 20 {_ZEROS} 00 20010db8000000000000000000000002 100 1 0 3 eth0
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """Return a folder with the tables that every kernel has."""
    (tmp_path / "fib_trie").write_text(_TRIE)
    (tmp_path / "route").write_text(_ROUTES)
    return tmp_path


def test_every_local_address_is_found_and_nothing_else(net: Path) -> None:
    """Broadcast addresses, networks and remote hosts are not ours; loopback has its own rule."""
    (net / "if_inet6").write_text(_INET6)
    assert own_addresses(net) == ("172.17.0.1", "192.0.2.9", "2001:db8::5")


def test_the_next_hop_of_a_default_route_is_ours(net: Path) -> None:
    """In a container it is the host; those of other routes are neighbours like any."""
    before = set(own_addresses(net))
    (net / "route").write_text(_ROUTES + _MORE_ROUTES)
    (net / "ipv6_route").write_text(_ROUTES_6)
    assert set(own_addresses(net)) - before == {"172.18.0.1", "2001:db8::1"}


def test_a_kernel_without_ipv6_has_none_of_it(net: Path) -> None:
    """A missing table of IPv6 addresses means that there are none."""
    assert own_addresses(net) == ("172.17.0.1", "192.0.2.9")


@pytest.mark.parametrize("table", ["fib_trie", "route"])
def test_not_knowing_is_an_error(net: Path, table: str) -> None:
    """Without the IPv4 tables nothing can be let through, so the call fails."""
    (net / table).unlink()
    with pytest.raises(FileNotFoundError):
        own_addresses(net)


def test_only_an_exception_for_the_single_address_opens_it() -> None:
    """A range around the host leaves it closed."""
    own = ("172.17.0.1", "192.0.2.9", "2001:db8::5")
    exceptions = map(ip_network, ("172.16.0.0/12", "192.0.2.9/32", "2001:db8::5/128"))
    assert without_exceptions(own, exceptions) == ("172.17.0.1",)
