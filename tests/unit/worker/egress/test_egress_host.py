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


def test_every_local_address_is_found_and_nothing_else(tmp_path: Path) -> None:
    """Broadcast addresses, networks and remote hosts are not ours; loopback has its own rule."""
    (tmp_path / "fib_trie").write_text(_TRIE)
    (tmp_path / "if_inet6").write_text(_INET6)
    assert own_addresses(tmp_path) == ("172.17.0.1", "192.0.2.9", "2001:db8::5")


def test_a_kernel_without_ipv6_has_none_of_it(tmp_path: Path) -> None:
    """A missing table of IPv6 addresses means that there are none."""
    (tmp_path / "fib_trie").write_text(_TRIE)
    assert own_addresses(tmp_path) == ("172.17.0.1", "192.0.2.9")


def test_not_knowing_is_an_error(tmp_path: Path) -> None:
    """Without the IPv4 table nothing can be let through, so the call fails."""
    with pytest.raises(FileNotFoundError):
        own_addresses(tmp_path)


def test_only_an_exception_for_the_single_address_opens_it() -> None:
    """A range around the host leaves it closed."""
    own = ("172.17.0.1", "192.0.2.9", "2001:db8::5")
    exceptions = map(ip_network, ("172.16.0.0/12", "192.0.2.9/32", "2001:db8::5/128"))
    assert without_exceptions(own, exceptions) == ("172.17.0.1",)
