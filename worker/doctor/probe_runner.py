"""Runs the doctor's containers: the options of a sandbox, another role, and the probe inside.

The probe runs with exactly the options of a scan: of the body that `container_options` returns,
only the entry point and the label of the role are changed.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import resources
from typing import Any

from safeurl.model.report import FetchRequest
from safeurl.model.sandbox import SandboxExit, SandboxOrder, SinkResult
from worker.sandbox import labels
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.options import Options, SandboxSettings, join_anchor

_PACKAGE = "worker.doctor.probe"
#: In the order in which they import each other.
_MODULES = ("syscall_result", "network", "gateway", "files", "rights", "calls", "exhaustion", "run")
_BOOT = f"""
import json, sys, types
package = types.ModuleType({_PACKAGE!r})
sys.modules[package.__name__] = package
for name, text in json.loads(sys.argv[1]).items():
    module = types.ModuleType(package.__name__ + "." + name)
    sys.modules[module.__name__] = module
    setattr(package, name, module)
    exec(compile(text, name, "exec"), module.__dict__)
package.run.run(json.loads(sys.argv[2]))
"""
_MAX_OUTPUT = 4 * 1024 * 1024
_DEADLINE_S = 25.0


@dataclass(frozen=True, slots=True)
class ProbeRun:
    """The end of a probe's container, and its output."""

    exit: SandboxExit
    output: bytes

    def facts(self, vector: str) -> Any:  # facts of any shape, as the vector's docstring says
        """Return the facts of a vector; raise LookupError with the reason if there are none."""
        for line in self.output.splitlines():
            try:
                answer = json.loads(line)
            except ValueError as error:
                raise LookupError("the probe's output is not JSON; is this our image?") from error
            if answer["vector"] == vector:
                if "facts" in answer:
                    return answer["facts"]
                raise LookupError(f"the probe failed: {answer['error']}")
        raise LookupError(self.exit.error or f"the probe printed nothing ({self.exit_text()})")

    def exit_text(self) -> str:
        """Return how the container ended, as text."""
        if self.exit.oom_killed:
            return "killed: out of memory"
        words = f"stopped: {self.exit.stopped}" if self.exit.stopped else ""
        tail = self.exit.stderr_tail.strip().splitlines()[-1:]
        return ", ".join([words or f"status {self.exit.exit_code}", *tail])


@dataclass(slots=True)
class ProbeRunner:
    """Runs containers whose names share one token, so that no two are mixed up."""

    settings: SandboxSettings
    socket_path: str
    #: Makes the body of the create request.
    options: Options
    token: str
    #: A time of the monotonic clock; no container is started later.
    until: float
    #: Limits how many run at a time.
    slots: asyncio.Semaphore
    count: int = 0

    def request(self, url: str = "http://doctor.invalid/", **fields: Any) -> FetchRequest:
        """Return a request for one container; `fields` are fields of the request."""
        self.count += 1
        return FetchRequest(scan=f"doctor-{self.token}", attempt=self.count, url=url, **fields)

    async def probe(
        self,
        task: Mapping[str, Any],
        *,
        request: FetchRequest | None = None,
        egress_dir: str | None = None,
        anchor: str | None = None,
        **caps: Any,
    ) -> ProbeRun:
        """Run vectors in a sandbox; `caps` are fields of `SandboxSettings`.

        With an `anchor` it uses the network namespace of that container, as those of the pool do.
        """
        command = probe_command(task)
        return await self._run(request or self.request(), egress_dir, command, caps, anchor)

    async def fetch(self, request: FetchRequest, egress_dir: str) -> ProbeRun:
        """Run the fetcher itself."""
        return await self._run(request, egress_dir, None, {})

    async def _run(
        self,
        request: FetchRequest,
        egress_dir: str | None,
        command: list[str] | None,
        caps: Mapping[str, Any],
        anchor: str | None = None,
    ) -> ProbeRun:
        def options(
            settings: SandboxSettings, order: SandboxOrder, deadline_at: datetime
        ) -> dict[str, Any]:
            body = self.options(settings, order, deadline_at)
            body["Labels"][labels.ROLE] = labels.ROLE_DOCTOR
            if anchor is not None:
                body = join_anchor(body, anchor)
            return body if command is None else body | {"Entrypoint": command}

        sandbox = DockerSandbox(replace(self.settings, **caps), self.socket_path, options=options)
        output = bytearray()

        def sink(piece: bytes) -> SinkResult:
            output.extend(piece)
            return SinkResult.MORE if len(output) < _MAX_OUTPUT else SinkResult.REFUSED

        async with self.slots:
            deadline_s = min(_DEADLINE_S, self.until - time.monotonic())
            if deadline_s <= 0:
                return ProbeRun(SandboxExit(error="the doctor had no time left for it"), b"")
            ended = await sandbox.run(request, sink, deadline_s=deadline_s, egress_dir=egress_dir)
        return ProbeRun(ended, bytes(output))


def probe_command(task: Mapping[str, Any]) -> list[str]:
    """Return the command that runs the probe in an image that has none of our modules."""
    folder = resources.files(_PACKAGE)
    sources = {name: (folder / f"{name}.py").read_text() for name in _MODULES}
    return ["python3", "-I", "-c", _BOOT, json.dumps(sources), json.dumps(task)]
