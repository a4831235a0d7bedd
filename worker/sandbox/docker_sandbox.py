"""Implements the port `Sandbox` with Docker; the SDK's blocking calls run in a thread."""

import asyncio
import logging
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from safeurl.errors import EgressUnavailableError, SandboxUnavailableError
from safeurl.model.report import FetchRequest
from safeurl.model.sandbox import SandboxExit, SandboxOrder
from safeurl.ports.clock import Clock
from safeurl.ports.egress import Egress, EgressEndpoint
from safeurl.ports.sandbox import Sink
from worker.cancellation import await_uncancelled
from worker.sandbox.circuit_breaker import CircuitBreaker
from worker.sandbox.engine import Engine
from worker.sandbox.options import Options, SandboxSettings, container_options
from worker.sandbox.pool.warm import WarmStarter
from worker.sandbox.prepare import (
    NewContainer,
    StartedContainer,
    remove_container,
    start_container,
)
from worker.sandbox.runtime import RuntimeChoice, choose_runtime
from worker.sandbox.started import StartedSandbox

_log = logging.getLogger("safeurl.sandbox")

_PING_S = 5.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class DockerSandbox:
    """Runs fetchers in containers of the engine at a unix socket."""

    def __init__(  # noqa: PLR0913 - what a test or the doctor replaces, each by name
        self,
        settings: SandboxSettings,
        socket_path: str,
        *,
        clock: Clock = _utc_now,
        options: Options = container_options,
        engine: Engine | None = None,
        pool_dir: Path | None = None,
    ) -> None:
        """Take settings and socket path; nothing is opened yet, so a fork may follow.

        `engine` runs the containers instead of the one at the socket. `pool_dir` is the folder of
        the host's warm pool, which need not run.
        """
        self.settings = settings
        self._warm = None if pool_dir is None else WarmStarter(pool_dir, settings)
        self._socket_path = socket_path
        self._engine = engine or Engine(socket_path)
        self._clock = clock
        self._options = options
        self._breaker = CircuitBreaker()
        #: Why the engine was unavailable when this process last asked it.
        self._reason = ""

    async def prepare(
        self,
        scan: str,
        attempt: int,
        *,
        egress: Egress | None,
        deadline_s: float,
        cold_only: bool = False,
    ) -> StartedSandbox:
        """Claim a container of the pool, or make a gateway socket and start a container with it."""
        if self._warm is not None and egress is not None and not cold_only:
            claimed = await self._warm.claim(scan, attempt, self._engine)
            if claimed is not None:
                return claimed
        endpoint = None if egress is None else await egress.create()
        order = SandboxOrder(
            scan=scan,
            attempt=attempt,
            deadline_s=deadline_s,
            egress_dir=None if endpoint is None else endpoint.directory,
        )
        try:
            return await self._start(order, endpoint)
        except BaseException:
            if egress is not None and endpoint is not None:
                await await_uncancelled(_discard(egress, endpoint))
            raise

    async def run(
        self,
        request: FetchRequest,
        sink: Sink,
        *,
        deadline_s: float,
        egress_dir: str | None = None,
    ) -> SandboxExit:
        """Run one request without an attempt, from the start to the removal of its container."""
        order = SandboxOrder(
            scan=request.scan,
            attempt=request.attempt,
            deadline_s=deadline_s,
            egress_dir=egress_dir,
        )
        try:
            sandbox = await self._start(order, None)
        except SandboxUnavailableError as exc:
            return SandboxExit(error=str(exc))
        try:
            ended = await sandbox.execute(request, deadline_s=deadline_s, sink=sink)
        finally:
            began = time.perf_counter()
            await sandbox.release()
            remove_ms = (time.perf_counter() - began) * 1000
        return replace(ended, timings_ms={**ended.timings_ms, "remove": remove_ms})

    async def _start(self, order: SandboxOrder, endpoint: EgressEndpoint | None) -> StartedSandbox:
        new = NewContainer(
            self._engine, self.settings, order, clock=self._clock, options=self._options
        )
        cancelled = threading.Event()
        # No task: the end of the event loop cancels all tasks, while their threads run on.
        work = asyncio.get_running_loop().run_in_executor(
            None, start_container, self._engine, new, cancelled.is_set
        )
        try:
            return self._started(await asyncio.shield(work), endpoint)
        except asyncio.CancelledError:
            cancelled.set()
            try:
                container = await await_uncancelled(work)
            except Exception as failure:  # noqa: BLE001 - whatever it was, we were cancelled
                _log.info("sandbox.cancelled_with error=%r", failure)
            else:
                await self._started(container, None).release()
            raise

    def _started(
        self, container: StartedContainer, endpoint: EgressEndpoint | None
    ) -> StartedSandbox:
        return StartedSandbox(
            container,
            engine=self._engine,
            remove=lambda: remove_container(self._engine, container.id),
            endpoint=endpoint,
        )

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
        """Close the connections to the engine that are kept for the next run."""
        self._engine.close()

    def _version(self) -> str:
        with self._engine.client(_PING_S) as client:
            return client.version()

    def _check_image(self) -> None:
        with self._engine.client(_PING_S) as client:
            client.image(self.settings.image)


async def _discard(egress: Egress, endpoint: EgressEndpoint) -> None:
    """Close a socket that no sandbox has; if this fails, it expires."""
    try:
        await egress.close(endpoint)
    except EgressUnavailableError as error:
        _log.warning("egress.not_closed socket=%s error=%r", endpoint.id, str(error))
