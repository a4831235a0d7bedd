"""Summarises what is known about the host's networks. Pure."""

from collections.abc import Iterable
from ipaddress import ip_network

from safeurl.address import Network, judge_address
from worker.egress.networks.local_addresses import HostNetworks
from worker.egress.protocol import NetworkInventory


def summarize(host: HostNetworks, deny_cidrs: Iterable[str]) -> NetworkInventory:
    """Return the summary; the operator's denied ranges may name the site's public addresses."""
    known = (*host.own, *map(ip_network, deny_cidrs))
    return NetworkInventory(
        neighbours=len(host.neighbours),
        public_neighbours=len(list(filter(_is_public, host.neighbours))),
        unknown_public=tuple(sorted(host.defaults - _public_versions(known))),
    )


def unknown_public_versions(
    inventory: NetworkInventory, deny_cidrs: Iterable[str]
) -> tuple[int, ...]:
    """Return the IP versions whose public address is unknown and not in these ranges."""
    named = _public_versions(map(ip_network, deny_cidrs))
    return tuple(each for each in inventory.unknown_public if each not in named)


def _public_versions(networks: Iterable[Network]) -> frozenset[int]:
    return frozenset(each.version for each in networks if _is_public(each))


def _is_public(network: Network) -> bool:
    return judge_address(network.network_address).allowed
