"""Finds the settings that weaken the isolation; every command prints these warnings."""

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from safeurl.settings import Settings

#: The metadata addresses of clouds, which give credentials to every program on a host: AWS and
#: most others, their IPv6 address, Azure, Alibaba.
_METADATA = ("169.254.169.254", "fd00:ec2::254", "168.63.129.16", "100.100.100.200")
#: Used in place of a setting's name, because either of two settings can name the server.
REDIS = "Redis"
_LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Weakness:
    """One setting that weakens the isolation, and what it allows."""

    setting: str
    words: str

    def __str__(self) -> str:
        """Return one sentence that begins with the setting."""
        return f"{self.setting}{self.words}"


def weaknesses(settings: Settings) -> tuple[Weakness, ...]:
    """Return the settings that are weaker than the defaults, one entry for each."""
    return tuple(found for check in _CHECKS for found in check(settings))


def is_loopback(host: str) -> bool:
    """Return whether the address can be reached only from this host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _allow_cidrs(settings: Settings) -> Iterator[Weakness]:
    if settings.egress_allow_cidrs:
        ranges = [ipaddress.ip_network(each) for each in settings.egress_allow_cidrs]
        ranges_named = {
            "every address": any(each.prefixlen == 0 for each in ranges),
            "cloud metadata and its credentials": _hold(ranges, _METADATA),
            "this host's own services (loopback)": _hold(ranges, _LOOPBACK),
        }
        including = ", ".join(words for words, is_so in ranges_named.items() if is_so)
        more = f", which includes {including}" if including else ""
        listed = ",".join(settings.egress_allow_cidrs)
        yield Weakness("EGRESS_ALLOW_CIDRS", f"={listed}: pages reach these addresses{more}.")


def _hold(
    ranges: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network], addresses: Sequence[str]
) -> bool:
    known = [ipaddress.ip_address(each) for each in addresses]
    return any(address in each for each in ranges for address in known)


def _allow_ports(settings: Settings) -> Iterator[Weakness]:
    if settings.egress_allow_ports:
        listed = ",".join(map(str, settings.egress_allow_ports))
        words = f"={listed}: pages reach these ports of public hosts."
        yield Weakness("EGRESS_ALLOW_PORTS", words)


def _network(settings: Settings) -> Iterator[Weakness]:
    if settings.container_network != "none":
        yield Weakness(
            "CONTAINER_NETWORK",
            f"={settings.container_network}: code that breaks the fetcher reaches this host and "
            "its networks.",
        )


def _dns64(settings: Settings) -> Iterator[Weakness]:
    if settings.egress_dns64:
        words = "=true: addresses in 64:ff9b::/96 are judged by the IPv4 address in them."
        yield Weakness("EGRESS_DNS64", words)


def _sni(settings: Settings) -> Iterator[Weakness]:
    if settings.egress_allow_sni_mismatch:
        words = "=true: a page may speak TLS to another host than the one that is on record."
        yield Weakness("EGRESS_ALLOW_SNI_MISMATCH", words)


def _api_host(settings: Settings) -> Iterator[Weakness]:
    if not is_loopback(settings.api_host):
        words = f"={settings.api_host}: other hosts can reach the API, which has no keys."
        yield Weakness("API_HOST", words)


def _redis(settings: Settings) -> Iterator[Weakness]:
    place = settings.redis
    if place.path or is_loopback(place.host):
        return
    if not place.is_tls:
        words = f" at {place} is used without TLS: who is on the way reads its password."
        yield Weakness(REDIS, words)
    if not place.password:
        yield Weakness(REDIS, f" at {place} is used without a password: who reaches it, writes.")


#: Each function checks one setting. A new setting that can weaken the isolation gets its own one.
_CHECKS: tuple[Callable[[Settings], Iterator[Weakness]], ...] = (
    _allow_cidrs,
    _allow_ports,
    _network,
    _dns64,
    _sni,
    _api_host,
    _redis,
)
