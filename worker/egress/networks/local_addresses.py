"""Finds this host's addresses and the networks it is connected to; no sandbox may reach them."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from safeurl.address import Address, Network
from safeurl.errors import EgressUnavailableError
from worker.egress.networks.netlink import ChangeListener, list_addresses, list_routes
from worker.egress.networks.route import InterfaceAddress, Kind, Route

#: The address space of the Internet, by IP version.
_INTERNET: Final[dict[int, Network]] = {4: IPv4Network("0.0.0.0/0"), 6: IPv6Network("2000::/3")}
#: Routes with at most this prefix length are parts of a split default route, by IP version: nobody
#: holds more than a /8 of IPv4, and a registry itself is assigned a /12 of IPv6.
_PART_LENGTH: Final = {4: 7, 6: 12}
#: Routes over the same next hop that cover one in so many addresses are a split default route.
_DEFAULT_SHARE: Final = 2


@dataclass(frozen=True, slots=True)
class HostNetworks:
    """The host's networks, from the kernel's tables; loopback is left out, the policy refuses it.

    They may overlap: a route to a single host inside a link's network is kept, because an
    exception for the network does not open that host.
    """

    #: The addresses of all interfaces, including Docker's bridges, and the next hops of default
    #: routes: if the gateway runs in a container, such a next hop is the host.
    own: tuple[Network, ...] = ()
    #: The networks of all interfaces, and the destination of every route in any table that is not
    #: a default route, including destinations that the host refuses to reach.
    neighbours: tuple[Network, ...] = ()
    #: The IP versions that have a default route.
    defaults: frozenset[int] = frozenset()


class HostNetworkMonitor:
    """Caches the host's networks, and reads them again after the kernel reports a change.

    It may be used after a fork: each process then opens its own netlink socket, because only one
    of two processes that share a socket receives a notification.
    """

    def __init__(self) -> None:
        """Open and read nothing yet."""
        self._process = 0
        self._listener: ChangeListener | None = None
        self._known: HostNetworks | None = None

    def networks(self, *, anew: bool = False) -> HostNetworks:
        """Return the current networks.

        `anew` reads them in any case: the kernel removes some routes without a notification. Until
        the next read, their destinations stay refused. Raises `EgressUnavailableError` if the
        networks cannot be read: unknown networks must not become reachable.
        """
        try:
            if self._listener is None or self._process != os.getpid():
                self._listener, self._known = ChangeListener(), None
                self._process = os.getpid()
            # Called in any case, and before reading: a later change makes a new notification.
            has_changed = self._listener.has_changed()
            if self._known is None or has_changed or anew:
                self._known = None
                self._known = read_networks(list_routes(), list_addresses())
        except OSError as error:
            raise EgressUnavailableError(
                f"The kernel does not list this host's networks: {error}. The egress gateway "
                "needs AF_NETLINK sockets."
            ) from error
        return self._known


def host_networks() -> HostNetworks:
    """Read the host's networks once; raises like `HostNetworkMonitor.networks`."""
    return HostNetworkMonitor().networks()


def read_networks(routes: Sequence[Route], addresses: Iterable[InterfaceAddress]) -> HostNetworks:
    """Return the host's own addresses and its neighbour networks. Pure."""
    defaults = set(_defaults(routes))
    own: set[Network] = set()
    neighbours: set[Network] = set()
    for route in routes:
        is_default = route in defaults
        if route.kind in {Kind.LOCAL, Kind.ANYCAST}:
            own.update(() if is_default else (route.network,))
        elif route.kind not in {Kind.BROADCAST, Kind.MULTICAST}:
            neighbours.update(() if is_default else (route.network,))
            (own if is_default else neighbours).update(map(_single, route.hops))
    for address in addresses:
        own.add(_single(address.local))
        # Without a route too: a router may announce a network that is not on the link.
        if not _is_part_of_default(address.network):
            neighbours.add(address.network)
    return HostNetworks(
        tuple(_sorted(own)),
        tuple(_sorted(neighbours)),
        frozenset(each.network.version for each in defaults if each.kind == Kind.UNICAST),
    )


def closed_networks(host: HostNetworks, exceptions: Sequence[Network]) -> Iterator[Network]:
    """Yield the refused parts of the host's networks: the networks without the exceptions.

    The fetcher on Docker's bridge needs this form, because it applies denied ranges only. As in
    `safeurl.address`, an exception opens a network only if it is not wider than the network.
    """
    for network in (*host.own, *host.neighbours):
        refused = [network]
        for exception in exceptions:
            if exception.version == network.version and exception.prefixlen >= network.prefixlen:
                refused = [rest for each in refused for rest in _without(each, exception)]
        yield from refused


def _without(network: Network, exception: Network) -> Iterator[Network]:
    if not network.overlaps(exception):
        yield network
    elif exception.prefixlen > network.prefixlen:
        yield from network.address_exclude(exception)  # type: ignore[arg-type]  # of one version


def _defaults(routes: Sequence[Route]) -> Iterator[Route]:
    """Yield the default routes and the parts of split ones, which VPNs use to take precedence.

    If the routes over one next hop cover half of the Internet, the widest of them are the parts of
    a split default route. The other routes name networks.
    """
    by_next_hop: defaultdict[tuple[object, ...], list[Route]] = defaultdict(list)
    for route in routes:
        key = (route.network.version, route.kind, route.table, route.interfaces, route.hops)
        by_next_hop[key].append(route)
    for together in by_next_hop.values():
        widest = list(_widest(together))
        internet = _INTERNET[together[0].network.version]
        covered = sum(_overlap(each.network, internet) for each in widest)
        if covered * _DEFAULT_SHARE >= internet.num_addresses:
            yield from widest
        yield from (each for each in together if _is_part_of_default(each.network))


def _widest(routes: Iterable[Route]) -> Iterator[Route]:
    """Yield the routes whose network is not part of another one."""
    end = -1
    for route in sorted(routes, key=lambda each: _address_range(each.network)):
        if int(route.network.network_address) > end:
            end = int(route.network.broadcast_address)
            yield route


def _overlap(network: Network, internet: Network) -> int:
    if not network.overlaps(internet):
        return 0
    return min(network.num_addresses, internet.num_addresses)


def _is_part_of_default(network: Network) -> bool:
    return network.prefixlen <= _PART_LENGTH[network.version]


def _single(address: Address) -> Network:
    return ip_network(address)


def _sorted(networks: Iterable[Network]) -> list[Network]:
    kept = (each for each in networks if not each.is_loopback)
    return sorted(kept, key=lambda each: (each.version, *_address_range(each)))


def _address_range(network: Network) -> tuple[int, int]:
    return int(network.network_address), network.prefixlen
