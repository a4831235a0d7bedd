"""Looks up the addresses of a name at DNS servers, with our own client and limits.

The system's resolver is not suitable: it blocks a thread, completes names with its search list,
and reads the hosts file, which may hold names of the local network.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver
from dns.rdatatype import RdataType

from safeurl.state import Outcome
from worker.egress.gateway.dns.nameserver import Nameserver
from worker.egress.gateway.traffic.accounting import MAX_ADDRESSES

#: Timeouts of the whole look-up, and of one query to one server.
_LIFETIME_S: Final = 5.0
_TRY_S: Final = 2.0
#: The datagram size that every network carries (DNS flag day 2020).
_UDP_BYTES: Final = 1232
#: After this long the system's resolv.conf is read again.
_REREAD_S: Final = 60.0
#: Look-ups of one sandbox at a time, each with both types; further look-ups wait.
MAX_LOOKUPS: Final = 16
_TYPES: Final = (RdataType.A, RdataType.AAAA)


class ResolveError(Exception):
    """The look-up found no address; `outcome` says whether the name exists."""

    def __init__(self, outcome: Outcome) -> None:
        """Keep the outcome."""
        super().__init__(outcome)
        self.outcome = outcome


class Resolver:
    """Looks up names at the configured servers, or at the system's if none is configured."""

    def __init__(self, servers: Sequence[str] = ()) -> None:
        """Take servers as `address:port` (`Settings.egress_resolver`)."""
        self._servers = tuple(_nameserver(server) for server in servers)
        self._known: dict[str, Nameserver] = {}
        self._made_s = 0.0
        self._made: dns.asyncresolver.Resolver | None = None
        self._slots = asyncio.Semaphore(MAX_LOOKUPS)

    async def addresses(self, name: str) -> tuple[str, ...]:
        """Return every address, IPv4 first; raise `ResolveError`. Nothing is cached."""
        try:
            absolute = dns.name.from_text(name)
            resolver = self._resolver()
        except dns.exception.DNSException as error:
            raise ResolveError(Outcome.DNS_FAILED) from error
        async with self._slots:
            answers = await asyncio.gather(*(_ask(resolver, absolute, kind) for kind in _TYPES))
        found = tuple(dict.fromkeys(text for answer in answers for text in answer[0]))
        if found:
            if len(found) > MAX_ADDRESSES:
                raise ResolveError(Outcome.DNS_FAILED)
            return found
        outcomes = {answer[1] for answer in answers}
        missing = Outcome.DNS_NXDOMAIN in outcomes
        raise ResolveError(Outcome.DNS_NXDOMAIN if missing else Outcome.DNS_FAILED)

    def _resolver(self) -> dns.asyncresolver.Resolver:
        if self._made is None or (
            not self._servers and time.monotonic() - self._made_s > _REREAD_S
        ):
            self._made = _make(self._servers, self._known)
            self._made_s = time.monotonic()
        return self._made


async def _ask(
    resolver: dns.asyncresolver.Resolver, name: dns.name.Name, kind: RdataType
) -> tuple[tuple[str, ...], Outcome]:
    try:
        answer = await resolver.resolve(name, kind, raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN:
        return (), Outcome.DNS_NXDOMAIN
    except (dns.exception.DNSException, OSError):
        return (), Outcome.DNS_FAILED
    return tuple(record.to_text() for record in answer.rrset or ()), Outcome.DNS_FAILED


def _make(
    servers: Sequence[Nameserver], known: dict[str, Nameserver]
) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=not servers)
    if servers:
        resolver.nameservers = list(servers)
    else:
        # Reuses the objects of known servers, which remember whether a server supports EDNS.
        named = {str(each): Nameserver(str(each), 53) for each in resolver.nameservers}
        fresh = {address: known.get(address, server) for address, server in named.items()}
        known.clear()
        known.update(fresh)
        resolver.nameservers = list(known.values())
    resolver.lifetime, resolver.timeout = _LIFETIME_S, _TRY_S
    resolver.use_edns(0, 0, _UDP_BYTES)
    return resolver


def _nameserver(server: str) -> Nameserver:
    parts = urlsplit(f"//{server}")
    return Nameserver(parts.hostname or "", parts.port or 53)
