"""A sandbox that follows a script instead of Docker; passes for one in tests of the executor."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from safeurl.ports import SandboxExit, SandboxOrder, Sink, Stop
from safeurl.report import (
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

    async def ping(self) -> str:
        """Answer as an engine would."""
        return "scripted"

    async def close(self) -> None:
        """Nothing is held."""
