"""A sandbox that follows a script instead of Docker; passes for one in tests of the executor."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from safeurl.errors import EgressLostError, EgressUnavailableError
from safeurl.model.report import (
    ArtefactLine,
    Body,
    EgressEvidence,
    EvidenceLine,
    FetchRequest,
    Hop,
    Line,
    Page,
    ReportLine,
    encode_line,
)
from safeurl.ports.egress import EgressEndpoint
from safeurl.ports.sandbox import SandboxExit, SandboxOrder, Sink, Stop
from safeurl.state import Outcome

Script = Callable[[FetchRequest], Sequence[bytes]]


def page_lines(request: FetchRequest, outcome: Outcome = Outcome.OK) -> list[bytes]:
    """Return the report of a small page that was opened."""
    lines: list[Line] = [
        EvidenceLine(hop=Hop(url=request.url, status=200, address="93.184.216.34", port=443)),
        EvidenceLine(
            body=Body(
                wire_bytes=5,
                size_bytes=5,
                sha256="2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
            )
        ),
        EvidenceLine(page=Page(title="Hello", text="hello")),
        ArtefactLine(kind="body", data=b"hello", last=True, media_type="text/html"),
        ReportLine(scan=request.scan, attempt=request.attempt, outcome=outcome),
    ]
    return [encode_line(line) for line in lines]


@dataclass
class ScriptedSandbox:
    """Feeds the script's bytes to the sink, then ends as told."""

    script: Script = page_lines
    exit: SandboxExit = field(default_factory=lambda: SandboxExit(container_id="c1", exit_code=0))
    #: Seconds the sandbox takes before it writes; cancelled like a real one.
    takes_s: float = 0.0
    orders: list[SandboxOrder] = field(default_factory=list)
    cancelled: int = 0
    #: What it was told of its runs: whether the engine failed.
    heard: list[bool] = field(default_factory=list)

    async def run(self, order: SandboxOrder, sink: Sink) -> SandboxExit:
        """Follow the script."""
        self.orders.append(order)
        try:
            await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        for chunk in self.script(order.request):
            if not sink(chunk):
                return SandboxExit(container_id="c1", exit_code=137, stopped=Stop.SINK)
        return self.exit

    def hear(self, *, failed: bool) -> None:
        """Remember it."""
        self.heard.append(failed)

    async def ping(self) -> str:
        """Answer as an engine would."""
        return "scripted"

    async def close(self) -> None:
        """Nothing is held."""


@dataclass
class ScriptedEgress:
    """A gateway that is gone when it is told to be."""

    #: `open` or `close`: where it does not answer any more.
    lost_at: str = ""
    record: EgressEvidence = field(default_factory=lambda: EgressEvidence(scan="s", requests=1))
    closed: list[str] = field(default_factory=list)
    #: What it was told about time, call by call.
    deadlines_s: list[float] = field(default_factory=list)

    async def open(self, request: FetchRequest, *, deadline_s: float) -> EgressEndpoint:
        """Give a room out."""
        assert request.gateway
        self.deadlines_s.append(deadline_s)
        if self.lost_at == "open":
            raise EgressUnavailableError("The egress gateway does not answer.")
        return EgressEndpoint(id="r1", directory="/rooms/r1")

    async def close(self, room: EgressEndpoint) -> EgressEvidence:
        """Give the record out."""
        if self.lost_at == "close":
            raise EgressLostError("The egress gateway does not know it.")
        self.closed.append(room.id)
        return self.record
