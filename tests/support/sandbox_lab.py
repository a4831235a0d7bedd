"""A lab for hostile containers: runs a script in a real sandbox and proves nothing is left."""

import asyncio
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from safeurl.model.report import FetchRequest
from safeurl.ports.sandbox import Sandbox, SandboxExit, SandboxOrder, Sink
from tests.support.images import SOCKET_PATH, docker_client, script_image
from worker.sandbox import labels
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.options import SandboxSettings

#: Enough for any well-behaved script on a busy machine.
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Ran:
    """How a sandbox ended, and all that it wrote on stdout."""

    exit: SandboxExit
    stdout: bytes


@dataclass(frozen=True, slots=True)
class Lab:
    """One hostile image and the settings to run it under."""

    settings: SandboxSettings

    @property
    def sandbox(self) -> Sandbox:
        """A Docker room with these settings."""
        return DockerSandbox(self.settings, SOCKET_PATH)

    def run(
        self,
        *,
        deadline_s: float = PATIENCE_S,
        sink: Sink | None = None,
        request: FetchRequest | None = None,
    ) -> Ran:
        """Run once, in an event loop of its own."""
        got: list[bytes] = []
        wanted = order(deadline_s=deadline_s, request=request)
        ended = asyncio.run(self.sandbox.run(wanted, sink or collector(got)))
        return Ran(ended, b"".join(got))


def collector(got: list[bytes]) -> Sink:
    """Return a sink that takes everything."""

    def sink(piece: bytes) -> bool:
        got.append(piece)
        return True

    return sink


def order(
    *,
    deadline_s: float = PATIENCE_S,
    request: FetchRequest | None = None,
    attempt: int = 1,
) -> SandboxOrder:
    """Return an order for a scan named after this process, so that parallel runs do not meet."""
    default = FetchRequest(scan=f"lab-{os.getpid()}", attempt=attempt, url="http://lab.invalid/")
    return SandboxOrder(request=request or default, deadline_s=deadline_s)


def instance_name() -> str:
    """Return the label of this test's containers."""
    current = os.environ["PYTEST_CURRENT_TEST"].split("::")[-1]
    return re.sub(r"[^a-z0-9]+", "-", current.removesuffix(" (call)").lower()).strip("-")


def leftovers(instance: str) -> list[str]:
    """Return the names of the instance's containers, running or not."""
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
    """Run an image under this test's label; fails if a container is left at the end."""
    instance = instance_name()
    settings = SandboxSettings(image=image, instance=instance, network="none", cpus=1.0)
    try:
        yield Lab(replace(settings, **caps))
        assert leftovers(instance) == []
    finally:
        clear(instance)


@contextmanager
def lab(script: str, **caps: Any) -> Iterator[Lab]:
    """Build an image from the script and run it under this test's label."""
    with script_image(script) as tag, bench(tag, **caps) as built:
        yield built
