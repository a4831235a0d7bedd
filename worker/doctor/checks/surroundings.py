"""What the gateway knows of this host's networks, and whether it can know all of it."""

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
from worker.egress.networks.local_addresses import host_networks
from worker.egress.networks.surroundings import describe, still_unknown
from worker.egress.protocol import Surroundings

_NAME: Final = "neighbours"
_LOOKUP_S: Final = 5.0


async def neighbours(settings: Settings) -> Finding:
    """Tell how many networks beside this host are refused; warn where its NAT is not known.

    The gateway is asked, because it may see other networks than we do; where none runs, we look.
    """
    try:
        seen = await _seen(settings)
    except EgressUnavailableError as error:
        return failed(_NAME, str(error), "Let it open AF_NETLINK sockets; no scan runs without.")
    if not still_unknown(seen, settings.egress_deny_cidrs):
        return judge(seen, settings.egress_deny_cidrs, ())
    return judge(seen, settings.egress_deny_cidrs, await _named())


def judge(seen: Surroundings, deny_cidrs: Collection[str], named: Collection[str]) -> Finding:
    """Judge what was seen; `named` are public addresses that the host's own name has. Pure."""
    detail = (
        counted(
            seen.neighbours,
            "network of this host's links and routes is refused",
            "networks of this host's links and routes are refused",
        )
        + f", {seen.public_neighbours} of them public"
    )
    unknown = still_unknown(seen, deny_cidrs)
    if not unknown:
        return passed(_NAME, detail)
    versions = " and ".join(f"IPv{each}" for each in unknown)
    such = f", such as {', '.join(named)}, which this host's name has" if named else ""
    return warned(
        _NAME,
        f"{detail}; the public {versions} address that this host has behind NAT is not known, "
        "and a page may reach the site by it",
        f"Add it, and the site's other public ranges, to EGRESS_DENY_CIDRS{such}.",
    )


async def _seen(settings: Settings) -> Surroundings:
    if settings.container_network == "none":
        with contextlib.suppress(EgressUnavailableError):
            return (await EgressClient(settings.gateway_dir).ping()).host
    return describe(host_networks(), ())


async def _named() -> list[str]:
    """Return the public addresses of this host's own name, where it is one of the DNS."""
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
