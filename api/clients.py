"""Which client connections are open, and which one has to go when there are too many.

A connection either waits for its client (for a request's head or body, for the next request, or
for the client to read an answer) or the server works for it. Only the first kind costs an attacker
nothing, so only that kind is dropped to make room:

- A client over its own cap loses the one of its connections that waits longest. Where the server
  works for all of them, the new one is answered with 429 instead.
- Over the total cap, the client with the most waiting connections loses the one that waits
  longest. A client with one connection is therefore the last that is affected; where all have one,
  it is the one that waits longest.

How long something waits is counted from the moment the wait began, not from its last byte: sending
slowly does not help. Pure data: it opens, closes and measures nothing.
"""

import ipaddress
import itertools
from collections import OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Generic, TypeVar

#: A customer of an IPv6 provider has at least this much: one address each would be no cap.
_IPV6_CLIENT_BITS: Final = 64

Connection = TypeVar("Connection")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What clients may take of the server; times in seconds."""

    per_client: int = 32
    total: int = 1024
    #: From the connection, or from the first byte of a later request, to the end of the head.
    head_s: float = 10.0
    #: From a head to the end of its body, and between two pieces of it.
    body_s: float = 30.0
    body_stall_s: float = 10.0
    #: Until an answer has left the server, and between two pieces of it.
    answer_s: float = 60.0
    answer_stall_s: float = 10.0
    #: Between an answer and the next request.
    idle_s: float = 5.0


class Over(StrEnum):
    """Which cap a connection is over."""

    CLIENT = "client"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Admission(Generic[Connection]):
    """What becomes of a new connection, and of those that make room for it."""

    #: None: it is served. Else it is answered with a refusal.
    refused: Over | None = None
    #: To be dropped now, with the cap that they are over; they count no more.
    dropped: tuple[tuple[Connection, Over], ...] = ()


@dataclass(slots=True)
class _Client(Generic[Connection]):
    """The connections of one client."""

    all: set[Connection] = field(default_factory=set)
    #: Those that wait for the client, longest first, each with its wait's number.
    waiting: OrderedDict[Connection, int] = field(default_factory=OrderedDict)

    def weight(self) -> tuple[int, int]:
        """Return what makes a client the one to lose a connection: how many wait, how long."""
        return len(self.waiting), -next(iter(self.waiting.values()), 0)


def client_key(address: str) -> str:
    """Return who an address stands for: an IPv4 address, or the /64 network of an IPv6 one."""
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
        """Begin with none."""
        self.limits = limits
        self._clients: dict[str, _Client[Connection]] = {}
        self._keys: dict[Connection, str] = {}
        #: Of waits, in the order in which they began.
        self._numbers = itertools.count(1)

    def __len__(self) -> int:
        """Return how many connections count."""
        return len(self._keys)

    def admit(self, connection: Connection, address: str) -> Admission[Connection]:
        """Count a new connection, which waits for its request, and say who makes room for it."""
        key = client_key(address)
        client = self._clients.get(key, _Client())
        refused, dropped = None, []
        over = len(client.all) - self.limits.per_client
        if over >= 0:
            is_working_for_all = len(client.all) - len(client.waiting) >= self.limits.per_client
            refused = Over.CLIENT if is_working_for_all else None
            # Those that are answered with a refusal have room of their own, as much again.
            if not is_working_for_all or over >= self.limits.per_client:
                dropped += self._drop_longest(client, Over.CLIENT)
        if len(self) >= self.limits.total:
            largest = max(self._clients.values(), key=_Client.weight)
            room = self._drop_longest(largest, Over.TOTAL)
            if not room:
                return Admission(Over.TOTAL, ((connection, Over.TOTAL),))
            dropped += room
        # Looked up again: with its last connection dropped, the client was forgotten.
        client = self._clients.setdefault(key, _Client())
        client.all.add(connection)
        client.waiting[connection] = next(self._numbers)
        self._keys[connection] = key
        return Admission(refused, tuple(dropped))

    def waits(self, connection: Connection) -> None:
        """Take down that a new wait for the connection's client begins now."""
        client = self._of(connection)
        if client is not None:
            client.waiting[connection] = next(self._numbers)
            client.waiting.move_to_end(connection)

    def works(self, connection: Connection) -> None:
        """Take down that the server works for the connection: it is not dropped."""
        client = self._of(connection)
        if client is not None:
            client.waiting.pop(connection, None)

    def leave(self, connection: Connection) -> None:
        """Count the connection no more; it may have gone before."""
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
        """Take out the connection that has waited longest, if one waits."""
        longest = next(iter(client.waiting), None)
        if longest is None:
            return []
        self.leave(longest)
        return [(longest, over)]
