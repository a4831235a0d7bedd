"""The port `Sandbox` on Docker: the SDK's blocking calls behind one thread per run."""

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime

from safeurl.errors import SandboxUnavailableError
from safeurl.ports.clock import Clock
from safeurl.ports.sandbox import SandboxExit, SandboxOrder, Sink
from worker.sandbox.circuit_breaker import CircuitBreaker
from worker.sandbox.engine import Engine
from worker.sandbox.execute import ContainerRun
from worker.sandbox.options import Options, SandboxSettings, container_options
from worker.sandbox.runtime import Choice, choose

_log = logging.getLogger("safeurl.sandbox")

_PING_S = 5.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class DockerSandbox:
    """Runs fetchers in containers of the engine behind a unix socket."""

    def __init__(
        self,
        settings: SandboxSettings,
        socket_path: str,
        clock: Clock = _utc_now,
        options: Options = container_options,
    ) -> None:
        """Remember caps and socket; nothing is opened yet, so it may be made before a fork."""
        self.settings = settings
        self._socket_path = socket_path
        self._engine = Engine(socket_path)
        self._clock = clock
        self._options = options
        self._trouble = CircuitBreaker()
        #: What the engine lacked when this process asked it last.
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
            await _outlast(work)
            raise

    def hear(self, *, failed: bool) -> None:
        """Let all processes forked from this one's parent know."""
        if failed:
            self._trouble.tell()
        else:
            self._trouble.clear()

    def trouble(self) -> str:
        """Say why no sandbox should be started now, or nothing; blocks while it asks the engine.

        After a failure the engine has to answer and have the image, and gets a pause besides: a
        full disk shows only when a container is made.
        """
        if self._trouble.pauses():
            return self._reason or "A sandbox has failed."
        self._reason = ""
        if self._trouble.is_known():
            try:
                self._version()
            except SandboxUnavailableError as error:
                self._trouble.tell_again()
                self._reason = str(error)
        return self._reason

    def choose_runtime(self) -> Choice:
        """Ask the engine which runtime sandboxes get; runs from here on, forked too, do not ask.

        Blocks. Nothing else of what a client learns is kept: the engine may be a newer one when
        a fork gets there.
        """
        self._engine.forget_runtimes()
        with Engine(self._socket_path).client(_PING_S) as client:
            runtimes = self._engine.runtimes(client)
        return choose(self.settings.runtime, self.settings.network, runtimes)

    async def ping(self) -> str:
        """Return the engine's version if it has the image."""
        return await asyncio.to_thread(self._version)

    async def close(self) -> None:
        """Do nothing: each run opens and closes its own connections."""

    def _version(self) -> str:
        with self._engine.client(_PING_S) as client:
            client.image(self.settings.image)
            return client.version()


async def _outlast(work: asyncio.Future[SandboxExit]) -> None:
    """Wait for the thread, which ends soon, however often we are cancelled meanwhile."""
    while not work.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait({work})
    if not work.cancelled() and (failure := work.exception()) is not None:
        _log.warning("sandbox.cancelled_with error=%r", failure)
