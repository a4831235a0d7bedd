"""Settings that weaken a wall: what every command warns of, computed in one place."""

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from safeurl.settings import Settings

#: Where clouds give out credentials to whoever asks from inside: AWS and most others, their
#: IPv6 address, Azure, Alibaba.
_METADATA = ("169.254.169.254", "fd00:ec2::254", "168.63.129.16", "100.100.100.200")
#: Instead of a setting, since two can name the server.
REDIS = "Redis"
_LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Weakness:
    """One setting that weakens a wall, and what it lets through."""

    setting: str
    words: str

    def __str__(self) -> str:
        """Return one sentence that begins with the setting."""
        return f"{self.setting}{self.words}"


def weaknesses(settings: Settings) -> tuple[Weakness, ...]:
    """Return what is weaker than by default, one entry for each setting."""
    return tuple(found for check in _CHECKS for found in check(settings))


def is_loopback(host: str) -> bool:
    """Return whether what listens or is called there stays on this host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _allow_cidrs(settings: Settings) -> Iterator[Weakness]:
    if settings.egress_allow_cidrs:
        ranges = [ipaddress.ip_network(each) for each in settings.egress_allow_cidrs]
        told = {
            "every address": any(each.prefixlen == 0 for each in ranges),
            "cloud metadata and its credentials": _hold(ranges, _METADATA),
            "this host's own services (loopback)": _hold(ranges, _LOOPBACK),
        }
        including = ", ".join(words for words, is_so in told.items() if is_so)
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


#: Each returns what one setting weakens; a new setting gets a check of its own here.
_CHECKS: tuple[Callable[[Settings], Iterator[Weakness]], ...] = (
    _allow_cidrs,
    _allow_ports,
    _network,
    _dns64,
    _sni,
    _api_host,
    _redis,
)
