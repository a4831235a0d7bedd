"""A scripted sandbox and a scripted gateway for tests of the executor."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from safeurl.errors import EgressLostError, EgressUnavailableError
from safeurl.model.egress_evidence import EgressEvidence
from safeurl.model.report import (
    ArtefactLine,
    Body,
    EvidenceLine,
    FetchRequest,
    Hop,
    Line,
    Page,
    ReportLine,
    encode_line,
)
from safeurl.model.sandbox import SandboxExit, SandboxOrder, Stop
from safeurl.ports.egress import EgressEndpoint
from safeurl.ports.sandbox import Sink
from safeurl.state import Outcome

Script = Callable[[FetchRequest], Sequence[bytes]]


def page_lines(request: FetchRequest, outcome: Outcome = Outcome.OK) -> list[bytes]:
    """Return the report lines of a small page."""
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
    """Sends the script's bytes to the sink, then returns `exit`."""

    script: Script = page_lines
    exit: SandboxExit = field(default_factory=lambda: SandboxExit(container_id="c1", exit_code=0))
    #: Seconds until the sandbox writes; it may be cancelled like a real one.
    takes_s: float = 0.0
    orders: list[SandboxOrder] = field(default_factory=list)
    cancelled: int = 0
    #: The recorded results of its runs: whether the engine failed.
    heard: list[bool] = field(default_factory=list)

    async def run(self, order: SandboxOrder, sink: Sink) -> SandboxExit:
        """Send the script's bytes."""
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

    def record_result(self, *, failed: bool) -> None:
        """Remember it."""
        self.heard.append(failed)

    async def ping(self) -> str:
        """Return a version."""
        return "scripted"

    async def check_image(self) -> None:
        """Find it."""

    async def close(self) -> None:
        """Do nothing."""


@dataclass
class ScriptedEgress:
    """A gateway that fails at a chosen call."""

    #: `open` or `close`: the call that fails; empty for none.
    lost_at: str = ""
    record: EgressEvidence = field(default_factory=lambda: EgressEvidence(scan="s", requests=1))
    closed: list[str] = field(default_factory=list)
    #: The deadline of each `open`.
    deadlines_s: list[float] = field(default_factory=list)

    async def open(self, request: FetchRequest, *, deadline_s: float) -> EgressEndpoint:
        """Return an endpoint."""
        assert request.gateway
        self.deadlines_s.append(deadline_s)
        if self.lost_at == "open":
            raise EgressUnavailableError("The egress gateway does not answer.")
        return EgressEndpoint(id="r1", directory="/rooms/r1")

    async def close(self, endpoint: EgressEndpoint) -> EgressEvidence:
        """Return the evidence."""
        if self.lost_at == "close":
            raise EgressLostError("The egress gateway does not know it.")
        self.closed.append(endpoint.id)
        return self.record
