"""What one sandbox asked for and took, and whether it may take more. Pure but for the clocks."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from safeurl.model.report import EgressDecision, EgressEvidence
from worker.egress.gateway.traffic.pace import Pace
from worker.egress.protocol import Caps

#: As many as `EgressEvidence` holds; and as many addresses as `EgressDecision` does.
MAX_ENTRIES: Final = 512
MAX_ADDRESSES: Final = 64
#: So many requests beyond the cap are still read and told why they are refused.
_TOLD_WHY: Final = 64


@dataclass(slots=True)
class Entry:
    """One request for a connection while it goes on; `freeze` gives it as evidence."""

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
        """Stop its clock; the first end counts."""
        if self.ended_s is None:
            self.ended_s = time.monotonic()

    def freeze(self) -> EgressDecision:
        """Return what is known so far."""
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
class Ledger:
    """The book of one socket: entries, sums and caps."""

    scan: str = ""
    attempt: int = 0
    caps: Caps = field(default_factory=Caps)
    #: Why nothing more is allowed; empty while something is. Begins before the socket is bound.
    shut: str = "unbound"
    requests: int = 0
    open: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    #: How fast bytes may be read of the servers, and of the sandbox.
    pace_in: Pace = field(init=False)
    pace_out: Pace = field(init=False)
    _entries: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Start the paces."""
        self.limit(self.caps)

    def limit(self, caps: Caps) -> None:
        """Hold to these caps from now on; connections that are open keep their pace."""
        self.caps = caps
        self.pace_in, self.pace_out = Pace(caps.bytes_per_second), Pace(caps.bytes_per_second)

    @property
    def is_spent(self) -> bool:
        """Whether so much was asked for beyond the cap that no more of it is worth reading."""
        return self.requests >= self.caps.max_connections + _TOLD_WHY

    def count(self) -> None:
        """Count a request that nobody read."""
        self.requests += 1

    def record(self, entry: Entry) -> None:
        """Take the entry into the book, which keeps the first ones only."""
        self.requests += 1
        if len(self._entries) < MAX_ENTRIES:
            self._entries.append(entry)

    def allow(self, entry: Entry) -> None:
        """Mark a recorded entry as let through, and keep it, if need be in a refused one's place.

        What was dialled must be on record, or a sandbox could hide it behind junk.
        """
        entry.allowed = True
        if any(kept is entry for kept in self._entries):
            return
        # One that was dialled and refused afterwards stays too.
        refused = (
            i for i, kept in enumerate(self._entries) if not kept.allowed and not kept.address
        )
        if (last := max(refused, default=None)) is not None:
            del self._entries[last]
            self._entries.append(entry)

    def exceeded(self) -> str:
        """Return the rule that refuses the request just recorded; empty where none does."""
        if self.shut:
            return self.shut
        if self.requests > self.caps.max_connections:
            return "cap_connections"
        if self.open >= self.caps.max_concurrent:
            return "cap_concurrent"
        if self.left_in() <= 0 or self.left_out() <= 0:
            return "cap_bytes"
        return ""

    def left_in(self) -> int:
        """Bytes that may still come into the sandbox."""
        return self.caps.max_bytes_in - self.bytes_in

    def left_out(self) -> int:
        """Bytes that may still leave it."""
        return self.caps.max_bytes_out - self.bytes_out

    def spend_in(self, entry: Entry, count: int) -> None:
        """Count bytes that came into the sandbox."""
        entry.bytes_in += count
        self.bytes_in += count

    def spend_out(self, entry: Entry, count: int) -> None:
        """Count bytes that left it."""
        entry.bytes_out += count
        self.bytes_out += count

    def evidence(self) -> EgressEvidence:
        """Return the book as it stands."""
        return EgressEvidence(
            scan=self.scan,
            attempt=self.attempt,
            decisions=tuple(entry.freeze() for entry in self._entries),
            dropped=self.requests - len(self._entries),
            requests=self.requests,
            bytes_out=self.bytes_out,
            bytes_in=self.bytes_in,
        )
