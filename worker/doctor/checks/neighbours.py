"""Checks that the gateway knows all networks of this host that it must refuse."""

import asyncio
import contextlib
import socket
from collections.abc import Collection
from typing import Final

from safeurl.address import judge_address
from safeurl.errors import EgressUnavailableError
from safeurl.printable import counted
from safeurl.settings import Settings
from worker.doctor.finding import Finding, failed, passed, warned
from worker.egress.client.client import EgressClient
from worker.egress.networks.inventory import summarize, unknown_public_versions
from worker.egress.networks.local_addresses import host_networks
from worker.egress.protocol import NetworkInventory

_NAME: Final = "neighbours"
_LOOKUP_S: Final = 5.0


async def neighbouring_networks(settings: Settings) -> Finding:
    """Report how many local networks are refused; warn if the public address is unknown.

    The gateway may see other networks than this process, so the gateway is asked. If none runs,
    this process reads its own networks.
    """
    try:
        known = await _known_networks(settings)
    except EgressUnavailableError as error:
        return failed(_NAME, str(error), "Allow it to open AF_NETLINK sockets; scans need them.")
    if not unknown_public_versions(known, settings.egress_deny_cidrs):
        return neighbours_finding(known, settings.egress_deny_cidrs, ())
    return neighbours_finding(known, settings.egress_deny_cidrs, await _addresses_of_own_name())


def neighbours_finding(
    known: NetworkInventory, deny_cidrs: Collection[str], named: Collection[str]
) -> Finding:
    """Evaluate the networks; `named` are public addresses of the host's own name. Pure."""
    detail = (
        counted(
            known.neighbours,
            "network of this host's links and routes is refused",
            "networks of this host's links and routes are refused",
        )
        + f", {known.public_neighbours} of them public"
    )
    unknown = unknown_public_versions(known, deny_cidrs)
    if not unknown:
        return passed(_NAME, detail)
    versions = " and ".join(f"IPv{each}" for each in unknown)
    examples = f", such as {', '.join(named)}, which this host's name has" if named else ""
    return warned(
        _NAME,
        f"{detail}; the public {versions} address that this host has behind NAT is not known, "
        "and a page may reach the site by it",
        f"Add it, and the site's other public ranges, to EGRESS_DENY_CIDRS{examples}.",
    )


async def _known_networks(settings: Settings) -> NetworkInventory:
    if settings.container_network == "none":
        with contextlib.suppress(EgressUnavailableError):
            return (await EgressClient(settings.gateway_dir).ping()).host
    return summarize(host_networks(), ())


async def _addresses_of_own_name() -> list[str]:
    """Return the public addresses of this host's own name, if it is a DNS name."""
    name = socket.gethostname()
    if "." not in name:
        return []
    try:
        async with asyncio.timeout(_LOOKUP_S):
            found = await asyncio.get_running_loop().getaddrinfo(name, None)
    except (OSError, TimeoutError):
        return []
    addresses = dict.fromkeys(str(each[4][0]) for each in found)
    return [each for each in addresses if judge_address(each).allowed]
