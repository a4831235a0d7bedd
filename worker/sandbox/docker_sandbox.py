"""Implements the port `Sandbox` with Docker; the SDK's blocking calls run in one thread per run."""

import asyncio
import logging
from datetime import UTC, datetime

from safeurl.errors import SandboxUnavailableError
from safeurl.model.sandbox import SandboxExit, SandboxOrder
from safeurl.ports.clock import Clock
from safeurl.ports.sandbox import Sink
from worker.cancellation import await_uncancelled
from worker.sandbox.circuit_breaker import CircuitBreaker
from worker.sandbox.engine import Engine
from worker.sandbox.execute import ContainerRun
from worker.sandbox.options import Options, SandboxSettings, container_options
from worker.sandbox.runtime import RuntimeChoice, choose_runtime

_log = logging.getLogger("safeurl.sandbox")

_PING_S = 5.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class DockerSandbox:
    """Runs fetchers in containers of the engine at a unix socket."""

    def __init__(
        self,
        settings: SandboxSettings,
        socket_path: str,
        clock: Clock = _utc_now,
        options: Options = container_options,
    ) -> None:
        """Take settings and socket path; nothing is opened yet, so a fork may follow."""
        self.settings = settings
        self._socket_path = socket_path
        self._engine = Engine(socket_path)
        self._clock = clock
        self._options = options
        self._breaker = CircuitBreaker()
        #: Why the engine was unavailable when this process last asked it.
        self._reason = ""

    async def run(self, order: SandboxOrder, sink: Sink) -> SandboxExit:
        """Run one container to its end and remove it."""
        run = ContainerRun(
            self._engine,
            self.settings,
            order,
            sink=sink,
            clock=self._clock,
            options=self._options,
        )
        work = asyncio.ensure_future(asyncio.to_thread(run.run))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            run.cancel()
            try:
                await await_uncancelled(work)
            except Exception as failure:  # noqa: BLE001 - whatever it was, we were cancelled
                _log.warning("sandbox.cancelled_with error=%r", failure)
            raise

    def record_result(self, *, failed: bool) -> None:
        """Record the result for all processes of the worker."""
        if failed:
            self._breaker.record_failure()
        else:
            self._breaker.record_success()

    def unavailable_reason(self) -> str:
        """Return why no sandbox should be started now, or an empty string; blocks.

        After a failure there is a pause; then the engine has to respond and have the image. The
        pause is needed because a full disk shows only when a container is created.
        """
        if self._breaker.is_open():
            return self._reason or "A sandbox has failed."
        self._reason = ""
        if self._breaker.has_failed():
            try:
                self._check_image()
            except SandboxUnavailableError as error:
                self._breaker.restart_pause()
                self._reason = str(error)
        return self._reason

    def choose_runtime(self) -> RuntimeChoice:
        """Ask the engine for its runtimes and return the choice; later runs use the same list.

        Blocks. It uses a separate client, so that the API version is not kept: a newer engine may
        run when a fork opens its client.
        """
        self._engine.forget_runtimes()
        with Engine(self._socket_path).client(_PING_S) as client:
            runtimes = self._engine.runtimes(client)
        return choose_runtime(self.settings.runtime, self.settings.network, runtimes)

    async def ping(self) -> str:
        """Return the engine's version."""
        return await asyncio.to_thread(self._version)

    async def check_image(self) -> None:
        """Ask the engine for the image."""
        await asyncio.to_thread(self._check_image)

    async def close(self) -> None:
        """Do nothing: each run opens and closes its own connections."""

    def _version(self) -> str:
        with self._engine.client(_PING_S) as client:
            return client.version()

    def _check_image(self) -> None:
        with self._engine.client(_PING_S) as client:
            client.image(self.settings.image)
