"""Finds settings that weaken the isolation or open the system to other hosts. Pure."""

import ipaddress

from safeurl.settings import Settings
from worker.doctor.finding import Finding, failed, passed, warned


def check_settings(settings: Settings) -> list[Finding]:
    """Return a finding for each setting that can weaken the system."""
    return [network(settings), exceptions(settings), api(settings)]


def network(settings: Settings) -> Finding:
    """Fail if sandboxes have a network interface."""
    if settings.container_network == "none":
        return passed("network", "sandboxes have no network but the egress gateway's socket")
    return failed(
        "network",
        f"CONTAINER_NETWORK={settings.container_network}: code that breaks the fetcher reaches "
        "this host and its networks",
        "Remove CONTAINER_NETWORK, so that every connection goes through the egress gateway.",
    )


def exceptions(settings: Settings) -> Finding:
    """Fail if the egress policy has exceptions for address ranges; warn of added ports."""
    ports = ",".join(map(str, settings.egress_allow_ports))
    if settings.egress_allow_cidrs:
        return failed(
            "egress-exceptions",
            f"EGRESS_ALLOW_CIDRS={','.join(settings.egress_allow_cidrs)}: "
            "pages reach these addresses",
            "Remove EGRESS_ALLOW_CIDRS; it is for labs and tests only.",
        )
    if ports:
        return warned(
            "egress-exceptions",
            f"EGRESS_ALLOW_PORTS={ports}: pages reach these ports of public hosts",
            "Remove the ports that no scan needs.",
        )
    return passed("egress-exceptions", "no address range and no port is excepted")


def api(settings: Settings) -> Finding:
    """Warn if other hosts can reach the API."""
    where = settings.api_host
    if where == "localhost" or _is_loopback(where):
        return passed("api", f"listens on {where} only")
    return warned(
        "api",
        f"API_HOST={where}: other hosts reach the API",
        "Put a proxy with TLS and authentication before it, or listen on 127.0.0.1.",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
