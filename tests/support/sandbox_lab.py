"""A lab for hostile containers: runs a script in a real sandbox and checks that nothing is left."""

import asyncio
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from safeurl.model.report import FetchRequest
from safeurl.model.sandbox import SandboxExit, SinkResult
from safeurl.ports.sandbox import Sink
from tests.support.images import SOCKET_PATH, docker_client, script_image
from worker.sandbox import labels
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.options import SandboxSettings

#: Enough for any well-behaved script on a busy machine.
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Ran:
    """The end of a sandbox, and its complete stdout."""

    exit: SandboxExit
    stdout: bytes


@dataclass(frozen=True, slots=True)
class Lab:
    """One hostile image, and the settings of its sandbox."""

    settings: SandboxSettings

    @property
    def sandbox(self) -> DockerSandbox:
        """A sandbox with these settings."""
        return DockerSandbox(self.settings, SOCKET_PATH)

    def run(
        self,
        *,
        deadline_s: float = TIMEOUT_S,
        sink: Sink | None = None,
        request: FetchRequest | None = None,
    ) -> Ran:
        """Run once, in a new event loop."""
        got: list[bytes] = []
        running = self.sandbox.run(
            request or lab_request(), sink or collector(got), deadline_s=deadline_s
        )
        return Ran(asyncio.run(running), b"".join(got))


def collector(got: list[bytes]) -> Sink:
    """Return a sink that accepts everything."""

    def sink(piece: bytes) -> SinkResult:
        got.append(piece)
        return SinkResult.MORE

    return sink


def ignore(_piece: bytes) -> SinkResult:
    """Accept everything and keep nothing: a sink."""
    return SinkResult.MORE


def lab_request(attempt: int = 1) -> FetchRequest:
    """Return a request of a scan named after this process: parallel runs do not collide."""
    return FetchRequest(scan=f"lab-{os.getpid()}", attempt=attempt, url="http://lab.invalid/")


def instance_name() -> str:
    """Return the label of this test's containers."""
    current = os.environ["PYTEST_CURRENT_TEST"].split("::")[-1]
    return re.sub(r"[^a-z0-9]+", "-", current.removesuffix(" (call)").lower()).strip("-")


def leftovers(instance: str) -> list[str]:
    """Return the names of the instance's containers, running or ended."""
    with docker_client() as client:
        found = client.containers.list(
            all=True, filters={"label": labels.instance_filter(instance)}
        )
        return [container.name for container in found]


def clear(instance: str) -> None:
    """Remove the instance's containers."""
    with docker_client() as client:
        for container in client.containers.list(
            all=True, filters={"label": labels.instance_filter(instance)}
        ):
            container.remove(force=True)


@contextmanager
def bench(image: str, **caps: Any) -> Iterator[Lab]:
    """Run an image with this test's label; fail if a container is left at the end."""
    instance = instance_name()
    settings = SandboxSettings(image=image, instance=instance, network="none", cpus=1.0)
    try:
        yield Lab(replace(settings, **caps))
        assert leftovers(instance) == []
    finally:
        clear(instance)


@contextmanager
def lab(script: str, **caps: Any) -> Iterator[Lab]:
    """Build an image from the script and run it with this test's label."""
    with script_image(script) as tag, bench(tag, **caps) as built:
        yield built
