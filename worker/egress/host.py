"""The addresses of this host, which no sandbox may reach whatever they are."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final

from safeurl.address import Network

#: A leaf of the kernel's routing trie, with a line that says the address is this host's.
_LOCAL: Final = re.compile(r"\|-- (\S+)\n(?:\s+/.*\n)*?\s+/32 host LOCAL")
_NET: Final = Path("/proc/self/net")


def own_addresses(net: Path = _NET) -> tuple[str, ...]:
    """Return the addresses of all interfaces, Docker's bridges included, less loopback's.

    Those are refused by the table already, under a name that says more. Raises OSError where the
    kernel does not tell: not knowing them is no reason to let them through.
    """
    found: set[IPv4Address | IPv6Address] = set()
    found.update(IPv4Address(text) for text in _LOCAL.findall((net / "fib_trie").read_text()))
    found.update(IPv6Address(int(line.split()[0], 16)) for line in _ipv6_lines(net))
    return tuple(sorted(str(address) for address in found if not address.is_loopback))


def without_exceptions(own: Iterable[str], exceptions: Iterable[Network]) -> tuple[str, ...]:
    """Leave out the addresses that an exception names one by one.

    Wider exceptions do not open this host: 10.0.0.0/8 means a lab, not the worker in it.
    """
    named = {
        str(network.network_address)
        for network in exceptions
        if network.prefixlen == network.max_prefixlen
    }
    return tuple(address for address in own if address not in named)


def _ipv6_lines(net: Path) -> list[str]:
    try:
        return (net / "if_inet6").read_text().splitlines()
    except FileNotFoundError:
        # So it is where the kernel has no IPv6.
        return []
