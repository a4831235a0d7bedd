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
        cancelled = threading.Event()
        execution = Execution(
            self._engine,
            self._container,
            request,
            deadline_s=deadline_s,
            sink=sink,
            start_kind=self._start_kind,
            is_cancelled=cancelled.is_set,
        )
        work = asyncio.ensure_future(asyncio.to_thread(execution.run))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            cancelled.set()
            try:
                await await_uncancelled(work)
            except Exception as failure:  # noqa: BLE001 - whatever it was, we were cancelled
                _log.warning("sandbox.cancelled_with error=%r", failure)
            raise

    async def release(self) -> None:
        """Kill and remove the container; if this fails, the reaper removes it."""
        if self._releasing is None:
            self._releasing = asyncio.ensure_future(asyncio.to_thread(self._release))
        await await_uncancelled(self._releasing)

    def _release(self) -> None:
        # First: an engine that still has output to send there does not notice the end.
        self._container.attached.close()
        try:
            self._remove()
        except Exception as exc:  # noqa: BLE001 - the scan is final; whatever it was, it is logged
            _log.warning("sandbox.not_removed name=%s error=%r", self._container.name, str(exc))
