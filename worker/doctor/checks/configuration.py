"""Settings that weaken the isolation or open the system, read as the worker reads them. Pure."""

import ipaddress

from safeurl.settings import Settings
from worker.doctor.finding import Finding, failed, passed, warned


def check_settings(settings: Settings) -> list[Finding]:
    """Return a finding for each setting that an operator may have bent."""
    return [network(settings), exceptions(settings), api(settings)]


def network(settings: Settings) -> Finding:
    """Fail where sandboxes have a network of their own."""
    if settings.container_network == "none":
        return passed("network", "sandboxes have no network but the egress gateway's socket")
    return failed(
        "network",
        f"CONTAINER_NETWORK={settings.container_network}: code that breaks the fetcher reaches "
        "this host and its networks",
        "Remove CONTAINER_NETWORK, so that every connection goes through the egress gateway.",
    )


def exceptions(settings: Settings) -> Finding:
    """Fail where address ranges are excepted from the policy, or ports added to it."""
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
    """Warn where the API listens to more than this host."""
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
