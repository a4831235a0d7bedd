"""The open client connections, and the choice of those to close if there are too many.

Either a connection waits for its client (for the head or body of a request, for the next request,
or until the client reads a response), or the server works on its request. Waiting connections cost
an attacker nothing, so only these are closed for a new connection:

- If a client exceeds its own cap, its longest waiting connection is closed. If the server works on
  requests of all its connections, the new one gets the response 429 instead.
- If the total cap is exceeded, the client with the most waiting connections loses the longest
  waiting one. Clients with one connection are therefore affected last, and of these the one that
  waits longest.

A wait is measured from its start and not from the last byte, so that sending slowly has no
advantage. This module only keeps data: it opens and closes no connection and reads no clock.
"""

import ipaddress
import itertools
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Generic, TypeVar

#: A customer of an IPv6 provider has at least a network of this size, so a cap for each address
#: would have no effect.
_IPV6_CLIENT_BITS: Final = 64

Connection = TypeVar("Connection")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of clients; times are in seconds."""

    per_client: int = 32
    total: int = 1024
    #: From the connection, or from the first byte of a later request, to the end of the head.
    head_s: float = 10.0
    #: From the head of a request to the end of its body, and between two parts of the body.
    body_s: float = 30.0
    body_stall_s: float = 10.0
    #: Until a response has left the server, and between two parts of it.
    answer_s: float = 60.0
    answer_stall_s: float = 10.0
    #: Between a response and the next request.
    idle_s: float = 5.0


class Over(StrEnum):
    """The cap that a connection exceeds."""

    CLIENT = "client"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Admission(Generic[Connection]):
    """The decision about a new connection, and the connections that are closed for it."""

    #: None if the connection is served. Otherwise it gets a refusal because of this cap.
    refused: Over | None = None
    #: The connections to close now, each with the exceeded cap. They are no longer counted.
    dropped: tuple[tuple[Connection, Over], ...] = ()


@dataclass(slots=True)
class _Client(Generic[Connection]):
    """The connections of one client."""

    all: set[Connection] = field(default_factory=set)
    #: The connections that wait for the client, longest first, each with the number of its wait.
    waiting: OrderedDict[Connection, int] = field(default_factory=OrderedDict)

    def weight(self) -> tuple[int, int]:
        """Return the sort key of a client: its number of waits, then its oldest wait."""
        return len(self.waiting), -next(iter(self.waiting.values()), 0)


def client_key(address: str) -> str:
    """Return the client of an address: the IPv4 address, or the /64 network of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _IPV6_CLIENT_BITS), strict=False))


class Clients(Generic[Connection]):
    """The open connections by client."""

    def __init__(self, limits: Limits) -> None:
        """Create an empty registry with these limits."""
        self.limits = limits
        self._clients: dict[str, _Client[Connection]] = {}
        self._keys: dict[Connection, str] = {}
        #: The numbers of waits, in the order of their starts.
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        """Return the number of counted connections."""
        return len(self._keys)

    def admit(self, connection: Connection, address: str) -> Admission[Connection]:
        """Count a new connection, which waits for its request; return which others to close."""
        key = client_key(address)
        client = self._clients.get(key, _Client())
        refused, dropped = None, []
        over = len(client.all) - self.limits.per_client
        if over >= 0:
            is_working_for_all = len(client.all) - len(client.waiting) >= self.limits.per_client
            refused = Over.CLIENT if is_working_for_all else None
            # Connections that get a refusal have a second cap of the same size.
            if not is_working_for_all or over >= self.limits.per_client:
                dropped += self._drop_longest(client, Over.CLIENT)
        if len(self) >= self.limits.total:
            largest = max(self._clients.values(), key=_Client.weight)
            longest = self._drop_longest(largest, Over.TOTAL)
            if not longest:
                return Admission(Over.TOTAL, ((connection, Over.TOTAL),))
            dropped += longest
        # Read again: the client was removed if its last connection was dropped.
        client = self._clients.setdefault(key, _Client())
        client.all.add(connection)
        client.waiting[connection] = next(self._numbers)
        self._keys[connection] = key
        return Admission(refused, tuple(dropped))

    def waits(self, connection: Connection) -> None:
        """Record that a new wait for the connection's client begins now."""
        client = self._of(connection)
        if client is not None:
            client.waiting[connection] = next(self._numbers)
            client.waiting.move_to_end(connection)

    def works(self, connection: Connection) -> None:
        """Record that the server works on the connection's request, so that it is not dropped."""
        client = self._of(connection)
        if client is not None:
            client.waiting.pop(connection, None)

    def leave(self, connection: Connection) -> None:
        """Remove the connection from the count; it may have been removed before."""
        client = self._of(connection)
        if client is None:
            return
        client.all.discard(connection)
        client.waiting.pop(connection, None)
        key = self._keys.pop(connection)
        if not client.all:
            del self._clients[key]

    def _of(self, connection: Connection) -> _Client[Connection] | None:
        key = self._keys.get(connection)
        return None if key is None else self._clients[key]

    def _drop_longest(
        self, client: _Client[Connection], over: Over
    ) -> list[tuple[Connection, Over]]:
        """Remove and return the longest waiting connection; return an empty list if none waits."""
        longest = next(iter(client.waiting), None)
        if longest is None:
            return []
        self.leave(longest)
        return [(longest, over)]
