"""Counts what one sandbox requested and transferred, and checks its caps. Pure but for clocks."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from safeurl.model.egress_evidence import EgressDecision, EgressEvidence
from worker.egress.gateway.traffic.rate_limit import RateLimit
from worker.egress.protocol import Caps

#: The most entries that `EgressEvidence` holds, and the most addresses of an `EgressDecision`.
MAX_ENTRIES: Final = 512
MAX_ADDRESSES: Final = 64
#: How many requests beyond the cap are still read and get a response with the rule.
_ANSWERED_BEYOND_CAP: Final = 64


@dataclass(slots=True)
class Entry:
    """The record of one requested connection; `freeze` returns it as evidence."""

    name: str = ""
    port: int = 0
    addresses: tuple[str, ...] = ()
    address: str = ""
    allowed: bool = False
    rule: str = ""
    outcome: str = ""
    protocol: str = ""
    sni: str = ""
    alpn: tuple[str, ...] = ()
    ech: bool = False
    bytes_out: int = 0
    bytes_in: int = 0
    dns_ms: float | None = None
    connect_ms: float | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_s: float = field(default_factory=time.monotonic)
    ended_s: float | None = None

    def end(self) -> None:
        """Record the time of the end; later calls change nothing."""
        if self.ended_s is None:
            self.ended_s = time.monotonic()

    def freeze(self) -> EgressDecision:
        """Return the evidence so far."""
        ended_s = time.monotonic() if self.ended_s is None else self.ended_s
        return EgressDecision(
            name=self.name,
            port=self.port,
            addresses=self.addresses[:MAX_ADDRESSES],
            address=self.address,
            allowed=self.allowed,
            rule=self.rule,
            outcome=self.outcome,
            protocol=self.protocol,
            sni=self.sni,
            alpn=self.alpn,
            ech=self.ech,
            bytes_out=self.bytes_out,
            bytes_in=self.bytes_in,
            started_at=self.started_at.isoformat(timespec="milliseconds"),
            dns_ms=self.dns_ms,
            connect_ms=self.connect_ms,
            duration_ms=round((ended_s - self.started_s) * 1000, 3),
        )


@dataclass(slots=True)
class Accounting:
    """The entries, sums and caps of one socket."""

    scan: str = ""
    attempt: int = 0
    caps: Caps = field(default_factory=Caps)
    #: The rule that refuses every request; empty while requests are allowed.
    refusal_rule: str = "unbound"
    requests: int = 0
    open: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    #: The rate limits for bytes from the servers, and for bytes from the sandbox.
    rate_in: RateLimit = field(init=False)
    rate_out: RateLimit = field(init=False)
    _entries: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the rate limits."""
        self.set_caps(self.caps)

    def set_caps(self, caps: Caps) -> None:
        """Apply these caps from now on; open connections keep their rate limit."""
        self.caps = caps
        self.rate_in, self.rate_out = (
            RateLimit(caps.bytes_per_second),
            RateLimit(caps.bytes_per_second),
        )

    @property
    def is_exhausted(self) -> bool:
        """Whether so many requests exceeded the cap that further ones are closed unread."""
        return self.requests >= self.caps.max_connections + _ANSWERED_BEYOND_CAP

    def count_unread(self) -> None:
        """Count a request that was closed unread."""
        self.requests += 1

    def record(self, entry: Entry) -> None:
        """Count the entry, and keep it if there is space."""
        self.requests += 1
        if len(self._entries) < MAX_ENTRIES:
            self._entries.append(entry)

    def allow(self, entry: Entry) -> None:
        """Mark a recorded entry as allowed, and keep it, if needed in the place of a refused one.

        Each destination that the gateway connected to must be in the evidence. Otherwise a sandbox
        could hide it behind many refused requests.
        """
        entry.allowed = True
        if any(kept is entry for kept in self._entries):
            return
        # An entry with an address stays: the gateway connected to it and refused it afterwards.
        refused = (
            i for i, kept in enumerate(self._entries) if not kept.allowed and not kept.address
        )
        if (last := max(refused, default=None)) is not None:
            del self._entries[last]
            self._entries.append(entry)

    def refusing_rule(self) -> str:
        """Return the rule that refuses the request just recorded; empty if none does."""
        if self.refusal_rule:
            return self.refusal_rule
        if self.requests > self.caps.max_connections:
            return "cap_connections"
        if self.open >= self.caps.max_concurrent:
            return "cap_concurrent"
        if self.remaining_in() <= 0 or self.remaining_out() <= 0:
            return "cap_bytes"
        return ""

    def remaining_in(self) -> int:
        """Return how many bytes may still enter the sandbox."""
        return self.caps.max_bytes_in - self.bytes_in

    def remaining_out(self) -> int:
        """Return how many bytes may still leave the sandbox."""
        return self.caps.max_bytes_out - self.bytes_out

    def add_in(self, entry: Entry, count: int) -> None:
        """Count bytes that entered the sandbox."""
        entry.bytes_in += count
        self.bytes_in += count

    def add_out(self, entry: Entry, count: int) -> None:
        """Count bytes that left the sandbox."""
        entry.bytes_out += count
        self.bytes_out += count

    def evidence(self) -> EgressEvidence:
        """Return the evidence so far."""
        return EgressEvidence(
            scan=self.scan,
            attempt=self.attempt,
            decisions=tuple(entry.freeze() for entry in self._entries),
            dropped=self.requests - len(self._entries),
            requests=self.requests,
            bytes_out=self.bytes_out,
            bytes_in=self.bytes_in,
        )
