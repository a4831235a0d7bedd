"""What is on and beside this host, which no sandbox may reach whatever addresses it has."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from safeurl.address import Address, Network
from safeurl.errors import EgressUnavailableError
from worker.egress.networks.netlink import ChangeNotice, list_addresses, list_routes
from worker.egress.networks.route import InterfaceAddress, Kind, Route

#: The space that addresses of the Internet are taken from, by version.
_INTERNET: Final[dict[int, Network]] = {4: IPv4Network("0.0.0.0/0"), 6: IPv6Network("2000::/3")}
#: The longest prefix that is no network of anybody's but a piece of a default route, by version:
#: nobody holds more than a /8 of IPv4, and registries themselves are given a /12 of IPv6.
_PIECE_LENGTH: Final = {4: 7, 6: 12}
#: Routes by one way that lead to half of the Internet are a default route in pieces.
_DEFAULT_SHARE: Final = 2


@dataclass(frozen=True, slots=True)
class HostNetworks:
    """What the kernel's tables say of this host; loopback is left out, the policy's table has it.

    An address may be in several of them: a route to a single host inside a link's network is kept,
    because an exception for the network does not open that host.
    """

    #: The addresses of all interfaces, Docker's bridges included, and the next hops of default
    #: routes: where the gateway runs in a container, such a next hop is the host.
    own: tuple[Network, ...] = ()
    #: The networks of all interfaces, and every destination that has a route other than a default
    #: route in any table, also those that the host refuses to reach.
    neighbours: tuple[Network, ...] = ()
    #: Whether there is a default route for the version.
    defaults: frozenset[int] = frozenset()


class Host:
    """Knows the host's networks, and reads them again once the kernel says that they changed.

    It may cross a fork: notices that two processes shared would each be seen by one of them only.
    """

    def __init__(self) -> None:
        """Read nothing yet."""
        self._process = 0
        self._notice: ChangeNotice | None = None
        self._known: HostNetworks | None = None

    def networks(self, *, anew: bool = False) -> HostNetworks:
        """Return them as they are now.

        `anew` reads them in any case: the kernel removes some routes without a notice, which only
        keeps refused what need not be. Raises `EgressUnavailableError` where the kernel does not
        say: not knowing them is no reason to let them through.
        """
        try:
            if self._notice is None or self._process != os.getpid():
                self._notice, self._known = ChangeNotice(), None
                self._process = os.getpid()
            # Asked in any case, and before reading: what changes from here on is a new notice.
            has_changed = self._notice.has_changed()
            if self._known is None or has_changed or anew:
                self._known = None
                self._known = read_host(list_routes(), list_addresses())
        except OSError as error:
            raise EgressUnavailableError(
                f"The kernel does not tell this host's networks: {error}. The egress gateway "
                "needs AF_NETLINK sockets."
            ) from error
        return self._known


def host_networks() -> HostNetworks:
    """Return the host's networks once; raises as `Host.networks`."""
    return Host().networks()


def read_host(routes: Sequence[Route], addresses: Iterable[InterfaceAddress]) -> HostNetworks:
    """Sort routes and addresses into what is the host's own and what is beside it. Pure."""
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
        # Also without a route to it: routers may announce a network as not on the link.
        if not _is_piece(address.network):
            neighbours.add(address.network)
    return HostNetworks(
        tuple(_sorted(own)),
        tuple(_sorted(neighbours)),
        frozenset(each.network.version for each in defaults if each.kind == Kind.UNICAST),
    )


def closed_networks(host: HostNetworks, exceptions: Sequence[Network]) -> Iterator[Network]:
    """Yield what is refused of the host's networks, as ranges without the exceptions.

    For who knows only denied ranges. As `safeurl.address` has it, an exception opens a network
    where it is as narrow; a wider one opens nothing.
    """
    for network in (*host.own, *host.neighbours):
        left = [network]
        for exception in exceptions:
            if exception.version == network.version and exception.prefixlen >= network.prefixlen:
                left = [rest for each in left for rest in _without(each, exception)]
        yield from left


def _without(network: Network, exception: Network) -> Iterator[Network]:
    if not network.overlaps(exception):
        yield network
    elif exception.prefixlen > network.prefixlen:
        yield from network.address_exclude(exception)  # type: ignore[arg-type]  # of one version


def _defaults(routes: Sequence[Route]) -> Iterator[Route]:
    """Yield default routes and the pieces of those that are split, as VPNs do to be preferred.

    Of the routes by one way that lead to half of the Internet, those that lie in no other are the
    pieces. The others name networks.
    """
    by_way: defaultdict[tuple[object, ...], list[Route]] = defaultdict(list)
    for route in routes:
        way = (route.network.version, route.kind, route.table, route.interfaces, route.hops)
        by_way[way].append(route)
    for together in by_way.values():
        widest = list(_widest(together))
        internet = _INTERNET[together[0].network.version]
        covered = sum(_overlap(each.network, internet) for each in widest)
        if covered * _DEFAULT_SHARE >= internet.num_addresses:
            yield from widest
        yield from (each for each in together if _is_piece(each.network))


def _widest(routes: Iterable[Route]) -> Iterator[Route]:
    """Yield the routes whose network lies in no other's."""
    end = -1
    for route in sorted(routes, key=lambda each: _place(each.network)):
        if int(route.network.network_address) > end:
            end = int(route.network.broadcast_address)
            yield route


def _overlap(network: Network, internet: Network) -> int:
    if not network.overlaps(internet):
        return 0
    return min(network.num_addresses, internet.num_addresses)


def _is_piece(network: Network) -> bool:
    return network.prefixlen <= _PIECE_LENGTH[network.version]


def _single(address: Address) -> Network:
    return ip_network(address)


def _sorted(networks: Iterable[Network]) -> list[Network]:
    kept = (each for each in networks if not each.is_loopback)
    return sorted(kept, key=lambda each: (each.version, *_place(each)))


def _place(network: Network) -> tuple[int, int]:
    return int(network.network_address), network.prefixlen
