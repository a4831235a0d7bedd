"""A real sandbox of the real image with a real gateway, for tests of the isolation."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from safeurl.model.egress_evidence import EgressEvidence
from safeurl.model.report import Evidence, FetchRequest, ReportLine
from safeurl.model.report_reader import ReportReader
from safeurl.model.sandbox import SandboxExit, SinkResult
from safeurl.settings import Settings
from tests.support.egress import GatewayProcess
from tests.support.fetching import make_request
from tests.support.images import SOCKET_PATH
from tests.support.sandbox_lab import clear, leftovers
from worker.egress.client.adapter import GatewayEgress
from worker.egress.protocol import EgressPolicy
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.options import Options, SandboxSettings, container_options

_DEADLINE_S = 60.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """The result of one run."""

    report: ReportLine | None
    evidence: Evidence
    egress: EgressEvidence
    exit: SandboxExit


@dataclass(slots=True)
class GatewaySandbox:
    """Runs fetchers or other images, each with its own gateway socket."""

    gateway: GatewayProcess
    settings: SandboxSettings
    policy: EgressPolicy
    runs: int = 0
    #: Makes the body of the create request.
    options: Options = container_options
    #: The deadline of each sandbox.
    deadline_s: float = _DEADLINE_S

    def under(self, runtime: str) -> "GatewaySandbox":
        """Return a copy whose sandboxes run under this OCI runtime."""
        return replace(self, settings=replace(self.settings, runtime=runtime))

    def fetch(self, url: str, **fields: object) -> Fetched:
        """Run the real fetcher on the URL; `fields` go into its request."""
        self.runs += 1
        scan = f"gateway-sandbox-{os.getpid()}-{self.runs}"
        request = make_request(url, scan=scan, gateway=True, **fields)
        return asyncio.run(self._run(request, self.settings, []))

    def run(self, image: str) -> tuple[Fetched, bytes]:
        """Run another image instead of the fetcher; return its output, too."""
        self.runs += 1
        request = FetchRequest(
            scan=f"gateway-sandbox-{os.getpid()}-{self.runs}", attempt=1, url="http://x/"
        )
        written: list[bytes] = []
        ended = asyncio.run(self._run(request, replace(self.settings, image=image), written))
        return ended, b"".join(written)

    async def _run(
        self, request: FetchRequest, settings: SandboxSettings, written: list[bytes]
    ) -> Fetched:
        egress = GatewayEgress(self.gateway.client, self.policy)
        endpoint = await egress.open(request, deadline_s=_DEADLINE_S)
        reader = ReportReader(request.scan, request.attempt)

        def sink(piece: bytes) -> SinkResult:
            written.append(piece)
            reader.feed(piece)
            return SinkResult.MORE

        sandbox = DockerSandbox(settings, SOCKET_PATH, options=self.options)
        ended = await sandbox.run(
            request, sink, deadline_s=self.deadline_s, egress_dir=endpoint.directory
        )
        reader.close()
        record = await egress.close(endpoint)
        return Fetched(reader.report, reader.evidence(), record, ended)


@contextmanager
def gateway_sandbox(
    folder: Path, instance: str, allow: Sequence[str] = (), **settings: str
) -> Iterator[GatewaySandbox]:
    """Start a gateway and yield a sandbox; fail if a container is left at the end."""
    image = Settings.read({}).fetcher_image
    sandbox = SandboxSettings(image=image, instance=instance, network="none", cpus=1.0)
    try:
        with GatewayProcess(folder, settings) as gateway:
            yield GatewaySandbox(gateway, sandbox, EgressPolicy(allow_cidrs=tuple(allow)))
        assert leftovers(instance) == []
    finally:
        clear(instance)
