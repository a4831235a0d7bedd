"""A container that was started and waits for its request; it runs one request and is removed.

Containers that are started for an attempt and those that are started ahead end up here: all that
follows the start is the same for both.
"""

import asyncio
import logging
import threading
from collections.abc import Callable

from safeurl.model.report import FetchRequest
from safeurl.model.sandbox import SandboxExit, StartKind
from safeurl.ports.egress import EgressEndpoint
from safeurl.ports.sandbox import Sink
from worker.cancellation import await_uncancelled
from worker.sandbox.engine import Engine
from worker.sandbox.execute import Execution
from worker.sandbox.prepare import StartedContainer

_log = logging.getLogger("safeurl.sandbox")


class StartedSandbox:
    """Implements `PreparedSandbox` for a container; belongs to one event loop."""

    def __init__(
        self,
        container: StartedContainer,
        *,
        engine: Engine,
        remove: Callable[[], None],
        endpoint: EgressEndpoint | None = None,
        start_kind: StartKind = StartKind.COLD,
    ) -> None:
        """Take the container over; `remove` kills and removes it, in a thread, in limited time."""
        self._container = container
        self._engine = engine
        self._remove = remove
        self._endpoint = endpoint
        self._start_kind = start_kind
        self._cancelled = threading.Event()
        self._running: asyncio.Future[SandboxExit] | None = None
        self._releasing: asyncio.Future[None] | None = None

    @property
    def endpoint(self) -> EgressEndpoint | None:
        """Its gateway socket."""
        return self._endpoint

    @property
    def start_kind(self) -> StartKind:
        """Whether it was started for this attempt or before."""
        return self._start_kind

    async def execute(self, request: FetchRequest, *, deadline_s: float, sink: Sink) -> SandboxExit:
        """Run the request in a thread; a cancelled call returns when the thread has ended."""
        execution = Execution(
            self._engine,
            self._container,
            request,
            deadline_s=deadline_s,
            sink=sink,
            start_kind=self._start_kind,
            is_cancelled=self._cancelled.is_set,
        )
        # No task: the end of the event loop cancels all tasks, while their threads run on.
        self._running = asyncio.get_running_loop().run_in_executor(None, execution.run)
        try:
            return await asyncio.shield(self._running)
        except asyncio.CancelledError:
            await self._end_run()
            raise

    async def _end_run(self) -> None:
        """Wait until no thread uses the connection any more."""
        self._cancelled.set()
        if self._running is not None and not self._running.done():
            try:
                await await_uncancelled(self._running)
            except Exception as failure:  # noqa: BLE001 - whatever it was, we were cancelled
                _log.warning("sandbox.cancelled_with error=%r", failure)

    async def release(self) -> None:
        """Kill and remove the container; if this fails, the reaper removes it."""
        if self._releasing is None:
            self._releasing = asyncio.ensure_future(self._release())
        await await_uncancelled(self._releasing)

    async def _release(self) -> None:
        await self._end_run()
        await asyncio.to_thread(self._close_and_remove)

    def _close_and_remove(self) -> None:
        # First: an engine that still has output to send there does not notice the end.
        self._container.attached.close()
        try:
            self._remove()
        except Exception as exc:  # noqa: BLE001 - the scan is final; whatever it was, it is logged
            _log.warning("sandbox.not_removed name=%s error=%r", self._container.name, str(exc))
