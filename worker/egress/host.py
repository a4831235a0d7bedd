"""The addresses of this host, which no sandbox may reach whatever they are."""

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from socket import htonl
from typing import Final

from safeurl.address import Network

#: A leaf of the kernel's routing trie, with a line that says the address is this host's.
_LOCAL: Final = re.compile(r"\|-- (\S+)\n(?:\s+/.*\n)*?\s+/32 host LOCAL")
_NET: Final = Path("/proc/self/net")


def own_addresses(net: Path = _NET) -> tuple[str, ...]:
    """Return the addresses of all interfaces, Docker's bridges included, and the default routes'.

    Where the gateway runs in a container, the next hop of its default route is the host. Loopback
    is left out: the table refuses it already, under a name that says more. Raises OSError where
    the kernel does not tell: not knowing them is no reason to let them through.
    """
    found: set[IPv4Address | IPv6Address] = set()
    found.update(IPv4Address(text) for text in _LOCAL.findall((net / "fib_trie").read_text()))
    found.update(IPv6Address(int(line.split()[0], 16)) for line in _lines(net / "if_inet6"))
    found.update(_next_hops(net))
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


def _next_hops(net: Path) -> Iterator[IPv4Address | IPv6Address]:
    """Yield the next hops of default routes; routes without one have zeros there."""
    for line in (net / "route").read_text().splitlines()[1:]:
        _, destination, hop, _, _, _, _, mask, *_ = line.split()
        if not int(destination, 16) and not int(mask, 16) and int(hop, 16):
            # Printed as the number that its bytes make in this machine's order.
            yield IPv4Address(htonl(int(hop, 16)))
    for line in _lines(net / "ipv6_route"):
        destination, length, _, _, hop, *_ = line.split()
        if not int(destination, 16) and not int(length, 16) and int(hop, 16):
            yield IPv6Address(int(hop, 16))


def _lines(table: Path) -> list[str]:
    try:
        return table.read_text().splitlines()
    except FileNotFoundError:
        # So it is where the kernel has no IPv6.
        return []
