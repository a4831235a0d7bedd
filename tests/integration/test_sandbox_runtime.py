"""How a sandbox gets its runtime: the engine is asked once, and again if the list is outdated."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.support.images import SOCKET_PATH
from tests.support.runtimes import need
from tests.support.sandbox_lab import TIMEOUT_S, ignore, lab, lab_request
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.options import SandboxSettings
from worker.sandbox.runtime import AUTO, RUNSC

_KERNEL = 'print(open("/proc/version").read(), end="")'
_FIT = {"path": "/usr/bin/runsc", "runtimeArgs": ["--network=none", "--host-uds=open"]}


@dataclass
class _Facts:
    """The runtimes of the fake engine, and its requests."""

    runtimes: dict[str, Any] = field(default_factory=lambda: {"runc": {"path": "runc"}})
    infos: int = 0
    #: The runtime named in each create request.
    created: list[str | None] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    """An engine that has runtimes but not the image, so that each run ends at the creation."""

    facts: _Facts

    def do_GET(self) -> None:
        if self.path.endswith("/info"):
            self.facts.infos += 1
        # The worker looks for a container after a create without a response.
        status = 404 if "/containers/" in self.path else 200
        body = {"ApiVersion": "1.41", "Runtimes": self.facts.runtimes, "message": "No such thing"}
        self._answer(status, body)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        runtime = asked["HostConfig"].get("Runtime")
        self.facts.created.append(runtime)
        if runtime in {None, *self.facts.runtimes}:
            self._answer(404, {"message": "No such image: any:latest"})
        else:
            self._answer(400, {"message": f"Unknown runtime specified {runtime}"})

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Log nothing: a unix peer has no address to print."""


@contextmanager
def engine(path: Path) -> Iterator[_Facts]:
    """Run the fake engine."""
    facts = _Facts()
    handler = type("Handler", (_Handler,), {"facts": facts})
    with socketserver.ThreadingUnixStreamServer(str(path), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield facts
        finally:
            server.shutdown()
            thread.join()


def make_sandbox(path: Path, runtime: str | None = AUTO) -> DockerSandbox:
    """Return a sandbox in which nothing can run."""
    settings = SandboxSettings(image="any", instance="fake", network="none", runtime=runtime)
    return DockerSandbox(settings, str(path))


async def attempt(sandbox: DockerSandbox) -> str:
    """Run once and return the error."""
    ended = await sandbox.run(lab_request(), ignore, deadline_s=TIMEOUT_S)
    assert ended.error is not None
    return ended.error


async def test_runtimes_are_asked_for_before_and_not_by_each_run(tmp_path: Path) -> None:
    """Every run that inherits the object uses the parent's list without a request."""
    path = tmp_path / "docker.sock"
    with engine(path) as facts:
        facts.runtimes[RUNSC] = _FIT
        sandbox = make_sandbox(path)
        assert sandbox.choose_runtime().name == RUNSC
        assert "any" in await attempt(sandbox)
        assert "any" in await attempt(sandbox)
    assert (facts.created, facts.infos) == ([RUNSC, RUNSC], 1)


async def test_a_runtime_that_has_gone_is_replaced(tmp_path: Path) -> None:
    """A list that contains a removed runsc is read again, and runc is chosen."""
    path = tmp_path / "docker.sock"
    with engine(path) as facts:
        facts.runtimes[RUNSC] = _FIT
        sandbox = make_sandbox(path)
        sandbox.choose_runtime()
        del facts.runtimes[RUNSC]
        assert "Unknown runtime" not in await attempt(sandbox)
    assert facts.created == [RUNSC, "runc"]


@pytest.mark.parametrize("runtime", [RUNSC, None])
async def test_what_is_set_is_not_asked_for(tmp_path: Path, runtime: str | None) -> None:
    """A name is sent unchanged, once; None leaves the choice to the engine."""
    path = tmp_path / "docker.sock"
    with engine(path) as facts:
        error = await attempt(make_sandbox(path, runtime))
    assert ("CONTAINER_RUNTIME" in error) == (runtime is not None)
    assert (facts.created, facts.infos) == ([runtime], 0)


def test_auto_runs_in_gvisor_without_a_network_and_without_gvisor_on_the_bridge() -> None:
    """The real engine's runsc is chosen if it can be used."""
    need(RUNSC)
    host = Path("/proc/version").read_text()
    with lab(_KERNEL, runtime=AUTO) as made:
        assert DockerSandbox(made.settings, SOCKET_PATH).choose_runtime().name == RUNSC
        assert made.run().stdout.decode() != host
    with lab(_KERNEL, runtime=AUTO, network="bridge") as made:
        assert made.run().stdout.decode() == host
