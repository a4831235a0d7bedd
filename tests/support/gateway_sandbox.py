"""A real sandbox of the real image behind a real gateway: what tests of the isolation run in."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from safeurl.model.report import EgressEvidence, Evidence, FetchRequest, ReportLine
from safeurl.model.report_reader import ReportReader
from safeurl.ports.sandbox import SandboxExit, SandboxOrder
from safeurl.settings import Settings
from tests.support.egress import GatewayProcess
from tests.support.images import SOCKET_PATH
from tests.support.sandbox_lab import clear, leftovers
from worker.egress.client.adapter import GatewayEgress
from worker.egress.protocol import EgressPolicy
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.options import Options, SandboxSettings, container_options

_DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came of one run."""

    report: ReportLine | None
    evidence: Evidence
    egress: EgressEvidence
    exit: SandboxExit


@dataclass(slots=True)
class Cell:
    """Runs fetchers, or other images, each behind a door of its own."""

    gateway: GatewayProcess
    settings: SandboxSettings
    policy: EgressPolicy
    runs: int = 0
    #: Makes the body of the create request.
    options: Options = container_options
    #: For each sandbox.
    deadline_s: float = _DEADLINE_S

    def under(self, runtime: str) -> "Cell":
        """Return the same cell, its sandboxes under this OCI runtime."""
        return replace(self, settings=replace(self.settings, runtime=runtime))

    def fetch(self, url: str, **fields: object) -> Fetched:
        """Run the real fetcher on the URL; `fields` go into its request."""
        self.runs += 1
        request = FetchRequest(
            scan=f"cell-{os.getpid()}-{self.runs}",
            attempt=1,
            url=url,
            gateway=True,
            **fields,  # type: ignore[arg-type]  # the request's own fields, by name
        )
        return asyncio.run(self._run(request, self.settings, []))

    def run(self, image: str) -> tuple[Fetched, bytes]:
        """Run another image in the fetcher's place; return what it wrote, too."""
        self.runs += 1
        request = FetchRequest(scan=f"cell-{os.getpid()}-{self.runs}", attempt=1, url="http://x/")
        written: list[bytes] = []
        ended = asyncio.run(self._run(request, replace(self.settings, image=image), written))
        return ended, b"".join(written)

    async def _run(
        self, request: FetchRequest, settings: SandboxSettings, written: list[bytes]
    ) -> Fetched:
        door = GatewayEgress(self.gateway.client, self.policy)
        room = await door.open(request, deadline_s=_DEADLINE_S)
        reader = ReportReader(request.scan, request.attempt)

        def sink(piece: bytes) -> bool:
            written.append(piece)
            reader.feed(piece)
            return True

        order = SandboxOrder(request=request, deadline_s=self.deadline_s, egress_dir=room.directory)
        ended = await DockerSandbox(settings, SOCKET_PATH, options=self.options).run(order, sink)
        reader.close()
        record = await door.close(room)
        return Fetched(reader.report, reader.evidence(), record, ended)


@contextmanager
def cell(folder: Path, instance: str, allow: Sequence[str] = (), **settings: str) -> Iterator[Cell]:
    """Start a gateway and make a cell; fails if a container is left at the end."""
    image = Settings.read({}).fetcher_image
    sandbox = SandboxSettings(image=image, instance=instance, network="none", cpus=1.0)
    try:
        with GatewayProcess(folder, settings) as gateway:
            yield Cell(gateway, sandbox, EgressPolicy(allow_cidrs=tuple(allow)))
        assert leftovers(instance) == []
    finally:
        clear(instance)
