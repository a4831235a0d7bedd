"""Sums up what is known of the host's networks, and what is missing. Pure."""

from collections.abc import Iterable
from ipaddress import ip_network

from safeurl.address import Network, judge_address
from worker.egress.networks.local_addresses import HostNetworks
from worker.egress.protocol import Surroundings


def describe(host: HostNetworks, deny_cidrs: Iterable[str]) -> Surroundings:
    """Return the sum; the denied ranges are those that may name the site's public addresses."""
    known = (*host.own, *map(ip_network, deny_cidrs))
    return Surroundings(
        neighbours=len(host.neighbours),
        public_neighbours=len(list(filter(_is_public, host.neighbours))),
        unknown_public=tuple(sorted(host.defaults - _public_versions(known))),
    )


def still_unknown(seen: Surroundings, deny_cidrs: Iterable[str]) -> tuple[int, ...]:
    """Return the IP versions whose public address these ranges do not name either."""
    named = _public_versions(map(ip_network, deny_cidrs))
    return tuple(each for each in seen.unknown_public if each not in named)


def _public_versions(networks: Iterable[Network]) -> frozenset[int]:
    return frozenset(each.version for each in networks if _is_public(each))


def _is_public(network: Network) -> bool:
    return judge_address(network.network_address).allowed
