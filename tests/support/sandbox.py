"""A scripted sandbox and a scripted gateway for tests of the executor."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

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
from safeurl.model.sandbox import SandboxExit, SinkResult, StartKind, Stop
from safeurl.ports.egress import Egress, EgressEndpoint
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


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run of a scripted sandbox was given."""

    request: FetchRequest
    deadline_s: float
    endpoint: EgressEndpoint | None


@dataclass
class ScriptedSandbox:
    """Sends the script's bytes to the sink, then returns `exit`."""

    script: Script = page_lines
    exit: SandboxExit = field(default_factory=lambda: SandboxExit(container_id="c1", exit_code=0))
    #: Seconds until the sandbox writes; it may be cancelled like a real one.
    takes_s: float = 0.0
    #: Raised instead of the start of a sandbox.
    unprepared: Exception | None = None
    runs: list[Ran] = field(default_factory=list)
    #: Scan and attempt of each sandbox that was prepared, and of each that was released.
    prepared: list[tuple[str, int]] = field(default_factory=list)
    #: For each that was prepared, whether it had to be started for its attempt.
    cold_only: list[bool] = field(default_factory=list)
    released: list[tuple[str, int]] = field(default_factory=list)
    cancelled: int = 0
    #: The recorded results of its runs: whether the engine failed.
    heard: list[bool] = field(default_factory=list)
    #: Called at the start of each release.
    on_release: Callable[[], Awaitable[None]] | None = None

    async def prepare(
        self,
        scan: str,
        attempt: int,
        *,
        egress: Egress | None,
        deadline_s: float,
        cold_only: bool = False,
    ) -> "ScriptedPrepared":
        """Return a sandbox with its own socket."""
        assert deadline_s > 0
        endpoint = None if egress is None else await egress.create()
        if self.unprepared is not None:
            raise self.unprepared
        self.prepared.append((scan, attempt))
        self.cold_only.append(cold_only)
        return ScriptedPrepared(self, scan, attempt, endpoint)

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
class ScriptedPrepared:
    """A prepared sandbox of a `ScriptedSandbox`."""

    sandbox: ScriptedSandbox
    scan: str
    attempt: int
    endpoint: EgressEndpoint | None
    start_kind: StartKind = StartKind.COLD
    has_run: bool = False
    is_released: bool = False

    async def execute(self, request: FetchRequest, *, deadline_s: float, sink: Sink) -> SandboxExit:
        """Send the script's bytes, until the sink has enough or refuses."""
        assert (request.scan, request.attempt) == (self.scan, self.attempt)
        assert not self.has_run, "a sandbox runs one request"
        assert not self.is_released
        self.has_run = True
        self.sandbox.runs.append(Ran(request, deadline_s, self.endpoint))
        try:
            await asyncio.sleep(self.sandbox.takes_s)
        except asyncio.CancelledError:
            self.sandbox.cancelled += 1
            raise
        for chunk in self.sandbox.script(request):
            result = sink(chunk)
            if result is SinkResult.REFUSED:
                return SandboxExit(container_id="c1", exit_code=137, stopped=Stop.SINK)
            if result is SinkResult.ENOUGH:
                return replace(self.sandbox.exit, exit_code=None)
        return self.sandbox.exit

    async def release(self) -> None:
        """Remember the first time."""
        if self.is_released:
            return
        self.is_released = True
        if self.sandbox.on_release is not None:
            await self.sandbox.on_release()
        self.sandbox.released.append((self.scan, self.attempt))


@dataclass
class ScriptedEgress:
    """A gateway that fails at a chosen call."""

    #: `create`, `bind` or `close`: the call that fails; empty for none.
    lost_at: str = ""
    #: How many calls of `lost_at` fail; the later ones succeed.
    failures: int = 1_000
    #: The folder of the sockets' folders.
    folder: str = "/rooms"
    record: EgressEvidence = field(default_factory=lambda: EgressEvidence(scan="s", requests=1))
    created: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    #: The deadline of each `bind`.
    deadlines_s: list[float] = field(default_factory=list)

    async def create(self) -> EgressEndpoint:
        """Return an endpoint."""
        if self._fails("create"):
            raise EgressUnavailableError("The egress gateway does not answer.")
        self.created.append(f"r{len(self.created) + 1}")
        return EgressEndpoint(id=self.created[-1], directory=f"{self.folder}/{self.created[-1]}")

    async def bind(
        self, endpoint: EgressEndpoint, request: FetchRequest, *, deadline_s: float
    ) -> None:
        """Remember the deadline."""
        assert request.gateway
        assert endpoint.id == self.created[-1]
        if self._fails("bind"):
            raise EgressLostError("The egress gateway does not know it.")
        self.deadlines_s.append(deadline_s)

    async def close(self, endpoint: EgressEndpoint) -> EgressEvidence:
        """Return the evidence."""
        if self._fails("close"):
            raise EgressLostError("The egress gateway does not know it.")
        self.closed.append(endpoint.id)
        return self.record

    def _fails(self, call: str) -> bool:
        if self.lost_at != call or not self.failures:
            return False
        self.failures -= 1
        return True
