"""The warm pool as a separate process, and attempts that use it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from safeurl.model.report import Evidence, FetchRequest, ReportLine
from safeurl.model.report_reader import ReportReader
from safeurl.model.sandbox import SandboxExit, StartKind
from safeurl.settings import Settings
from tests.support.egress import GatewayProcess
from tests.support.fetching import make_request
from tests.support.images import SOCKET_PATH, docker_client
from tests.support.sandbox_lab import clear, leftovers
from worker.egress.client.adapter import GatewayEgress
from worker.egress.protocol import EgressPolicy
from worker.sandbox import labels
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.options import SandboxSettings
from worker.sandbox.pool.client import HandedMember, PoolClient
from worker.sandbox.pool.key import pool_key
from worker.sandbox.pool.protocol import PoolFacts

#: How long tests wait for containers to be started or removed, on a machine that is busy.
WAIT_S = 60.0
_DEADLINE_S = 60.0

_PROGRAM = """
import logging, os, sys
from datetime import UTC, datetime
from pathlib import Path
from worker.sandbox.options import SandboxSettings
from worker.sandbox.pool.process import PoolConfig, run_pool

logging.basicConfig(level="INFO")
folder, socket_path, gateway_dir, image, instance, runtime, size, ttl_s = sys.argv[1:]
run_pool(
    PoolConfig(
        directory=Path(folder),
        docker_socket=socket_path,
        gateway_dir=Path(gateway_dir),
        sandbox=SandboxSettings(
            image=image, instance=instance, network="none", cpus=1.0, runtime=runtime or None
        ),
        size=None if size == "auto" else int(size),
        ttl_s=int(ttl_s),
        attempt_s=60.0,
        concurrency=4,
    ),
    lambda: datetime.now(UTC),
)
"""


@dataclass(frozen=True, slots=True)
class Attempted:
    """The result of one attempt with a sandbox of the pool or without one."""

    report: ReportLine | None
    evidence: Evidence
    exit: SandboxExit
    start_kind: StartKind


@dataclass(slots=True)
class PoolProcess:
    """`run_pool` in a child process, with a gateway; a context manager."""

    folder: Path
    gateway: GatewayProcess
    settings: SandboxSettings
    size: str = "2"
    ttl_s: int = 600
    process: subprocess.Popen[bytes] = field(init=False)
    attempts: int = 0

    @property
    def client(self) -> PoolClient:
        """A client of its socket."""
        return PoolClient(self.folder)

    @property
    def key(self) -> str:
        """The key of its members."""
        return pool_key(self.settings)

    def containers(self) -> list[str]:
        """Return the names of all containers of the installation, also while some are removed."""
        with docker_client() as client:
            listed = client.api.containers(
                all=True, filters={"label": labels.instance_filter(self.settings.instance)}
            )
        return [str(each["Names"][0]).removeprefix("/") for each in listed if each["Names"]]

    def start(self) -> None:
        """Start the process; it does not wait for members."""
        arguments = (
            *(str(self.folder), SOCKET_PATH, str(self.gateway.egress_dir), self.settings.image),
            *(self.settings.instance, self.settings.runtime or "", self.size, str(self.ttl_s)),
        )
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, *arguments],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def kill(self) -> None:
        """Kill the process, as if it had crashed."""
        self.process.kill()
        self.process.wait(WAIT_S)

    def stop(self) -> int:
        """Stop it in order, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_S)

    def wait_for(self, size: int) -> PoolFacts:
        """Wait until so many members are ready; return the facts of that moment."""
        until_s = time.monotonic() + WAIT_S
        while time.monotonic() < until_s:
            facts = self.client.facts()
            if facts is not None and facts.size == size:
                return facts
            time.sleep(0.05)
        raise AssertionError(f"the pool has not {size} members: {self.client.facts()}")

    def claim(self, scan: str = "", attempt: int = 1) -> HandedMember:
        """Claim a member, which there must be."""
        self.attempts += 1
        handed = self.client.claim(
            self.key, scan or f"claimed-{os.getpid()}-{self.attempts}", attempt
        )
        assert isinstance(handed, HandedMember), handed
        return handed

    def attempt(
        self, url: str, allow: tuple[str, ...] = (), *, is_warm: bool = True, **fields: object
    ) -> Attempted:
        """Fetch a page as an attempt does: prepare, bind, execute, close and release."""
        self.attempts += 1
        scan = f"attempt-{os.getpid()}-{self.attempts}"
        request = make_request(url, scan=scan, gateway=True, allow_cidrs=allow, **fields)
        return asyncio.run(self._attempt(request, allow, self.folder if is_warm else None))

    async def _attempt(
        self, request: FetchRequest, allow: tuple[str, ...], pool_dir: Path | None
    ) -> Attempted:
        egress = GatewayEgress(self.gateway.client, EgressPolicy(allow_cidrs=allow))
        sandbox = DockerSandbox(self.settings, SOCKET_PATH, pool_dir=pool_dir)
        reader = ReportReader(request.scan, request.attempt)
        prepared = await sandbox.prepare(
            request.scan, request.attempt, egress=egress, deadline_s=_DEADLINE_S
        )
        try:
            assert prepared.endpoint is not None
            await egress.bind(prepared.endpoint, request, deadline_s=_DEADLINE_S)
            ended = await prepared.execute(request, deadline_s=_DEADLINE_S, sink=reader.feed)
            await egress.close(prepared.endpoint)
        finally:
            await prepared.release()
        reader.close()
        return Attempted(reader.report, reader.evidence(), ended, prepared.start_kind)


@contextmanager
def pool_process(  # noqa: PLR0913 - what tests change, each by name
    folder: Path,
    instance: str,
    *,
    size: str = "2",
    ttl_s: int = 600,
    image: str = "",
    runtime: str | None = None,
) -> Iterator[PoolProcess]:
    """Start a gateway and a pool; fail if a container is left after the pool was stopped."""
    settings = SandboxSettings(
        image=image or Settings.read({}).fetcher_image,
        instance=instance,
        network="none",
        cpus=1.0,
        runtime=runtime,
    )
    try:
        with GatewayProcess(folder / "state") as gateway:
            pool = PoolProcess(folder / "pool", gateway, replace(settings), size=size, ttl_s=ttl_s)
            pool.start()
            try:
                yield pool
            finally:
                assert pool.stop() == 0
        assert leftovers(instance) == []
    finally:
        clear(instance)
