"""Runs the doctor's containers: a sandbox's own options, another role, and the probe inside.

Whatever is tried is tried under the very options that scans run under: of the body that
`container_options` makes, only the entry point and the label of the role are changed.
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
from safeurl.ports.sandbox import SandboxExit, SandboxOrder
from worker.sandbox import labels
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.options import Options, SandboxSettings

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
class Tried:
    """How a trial ended, and what it printed."""

    exit: SandboxExit
    output: bytes

    def seen(self, vector: str) -> Any:  # facts of any shape, as the vector's docstring says
        """Return a vector's facts; raise LookupError with the reason where it gave none."""
        for line in self.output.splitlines():
            try:
                answer = json.loads(line)
            except ValueError as error:
                raise LookupError("the probe was not understood; is this our image?") from error
            if answer["vector"] == vector:
                if "seen" in answer:
                    return answer["seen"]
                raise LookupError(f"the probe broke: {answer['error']}")
        raise LookupError(self.exit.error or f"the probe said nothing ({self.ending()})")

    def ending(self) -> str:
        """Say how the container ended."""
        if self.exit.oom_killed:
            return "killed for want of memory"
        words = f"stopped: {self.exit.stopped}" if self.exit.stopped else ""
        tail = self.exit.stderr_tail.strip().splitlines()[-1:]
        return ", ".join([words or f"status {self.exit.exit_code}", *tail])


@dataclass(slots=True)
class Trials:
    """Makes containers under one token, so that each can be told and none is mixed up."""

    settings: SandboxSettings
    socket_path: str
    #: Where the body of the create request comes from.
    options: Options
    token: str
    #: On the monotonic clock; nothing is started later.
    until: float
    #: How many run at a time.
    slots: asyncio.Semaphore
    count: int = 0

    def request(self, url: str = "http://doctor.invalid/", **fields: Any) -> FetchRequest:
        """Return a request of the doctor's; `fields` are the request's own."""
        self.count += 1
        return FetchRequest(scan=f"doctor-{self.token}", attempt=self.count, url=url, **fields)

    async def probe(
        self,
        task: Mapping[str, Any],
        *,
        request: FetchRequest | None = None,
        egress_dir: str | None = None,
        **caps: Any,
    ) -> Tried:
        """Run vectors in a sandbox; `caps` are those of `SandboxSettings`."""
        return await self._run(request or self.request(), egress_dir, probe_command(task), caps)

    async def fetch(self, request: FetchRequest, egress_dir: str) -> Tried:
        """Run the fetcher itself."""
        return await self._run(request, egress_dir, None, {})

    async def _run(
        self,
        request: FetchRequest,
        egress_dir: str | None,
        command: list[str] | None,
        caps: Mapping[str, Any],
    ) -> Tried:
        def options(
            settings: SandboxSettings, order: SandboxOrder, deadline_at: datetime
        ) -> dict[str, Any]:
            body = self.options(settings, order, deadline_at)
            body["Labels"][labels.ROLE] = labels.ROLE_DOCTOR
            return body if command is None else body | {"Entrypoint": command}

        room = DockerSandbox(replace(self.settings, **caps), self.socket_path, options=options)
        output = bytearray()

        def sink(piece: bytes) -> bool:
            output.extend(piece)
            return len(output) < _MAX_OUTPUT

        async with self.slots:
            deadline_s = min(_DEADLINE_S, self.until - time.monotonic())
            if deadline_s <= 0:
                return Tried(SandboxExit(error="the doctor had no time left for it"), b"")
            order = SandboxOrder(request=request, deadline_s=deadline_s, egress_dir=egress_dir)
            ended = await room.run(order, sink)
        return Tried(ended, bytes(output))


def probe_command(task: Mapping[str, Any]) -> list[str]:
    """Return the command that runs the probe's vectors where nothing of ours is installed."""
    folder = resources.files(_PACKAGE)
    sources = {name: (folder / f"{name}.py").read_text() for name in _MODULES}
    return ["python3", "-I", "-c", _BOOT, json.dumps(sources), json.dumps(task)]
