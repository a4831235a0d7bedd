"""Runs one container from create to remove, in one thread.

The order is create, attach, start, exchange, wait, inspect, remove. Each wait has a limit. So the
thread always ends: also if a container prints without end, prints nothing, or closes its stdout
and runs on, and if the engine does not respond.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from safeurl.errors import SandboxUnavailableError
from safeurl.model.report import encode_line
from safeurl.model.sandbox import SandboxExit, SandboxOrder, Stop
from safeurl.ports.clock import Clock
from safeurl.ports.sandbox import Sink
from worker.attempt.classify import SIGKILL_STATUS, lacked_memory
from worker.sandbox.attach_session import SLICE_S, AttachSession
from worker.sandbox.engine import Engine, EngineClient
from worker.sandbox.frames import FrameError
from worker.sandbox.memory import MemoryWatch, watch_memory
from worker.sandbox.options import Options, SandboxSettings, container_options
from worker.sandbox.prepare import PreparedContainer

_log = logging.getLogger("safeurl.sandbox")

#: How long a killed container may take to end: the kernel has to free its memory.
_KILL_TIMEOUT_S = 10.0
#: The time limit of the removal, independent of the deadline of the run.
_REMOVE_TIMEOUT_S = 20.0
#: How often, and at what interval, the state is read again after a SIGKILL without a known cause.
_STATE_RETRIES = 5
_STATE_RETRY_S = 0.2
#: The start time that Docker reports for a container that never started.
_NEVER_STARTED = "0001-01-01T00:00:00Z"


class ContainerRun:
    """One run; `run` is called once, in its own thread; `cancel` may be called from any thread."""

    def __init__(  # noqa: PLR0913 - the parameters of a run, each passed by name
        self,
        engine: Engine,
        settings: SandboxSettings,
        order: SandboxOrder,
        *,
        sink: Sink,
        clock: Clock,
        options: Options = container_options,
    ) -> None:
        """Prepare; nothing is created yet."""
        self._engine = engine
        self._order = order
        self._sink = sink
        self._container = PreparedContainer(engine, settings, order, clock=clock, options=options)
        self._cancelled = threading.Event()
        self._stopped: Stop | None = None
        self._error: str | None = None
        #: Docker's state of the container after the start, and after the end.
        self._first_state: dict[str, Any] = {}
        self._last_state: dict[str, Any] = {}
        self._oom_killed = False
        self._paused = False
        self._stderr_tail = ""
        self._timings_ms: dict[str, float] = {}

    def cancel(self) -> None:
        """Make the run end soon; the container is killed and removed."""
        self._cancelled.set()

    def run(self) -> SandboxExit:
        """Run the container; it is removed when this returns or raises."""
        try:
            self._create_and_execute()
        except (SandboxUnavailableError, FrameError) as exc:
            self._error = str(exc)
        return SandboxExit(
            container_id=self._container.id,
            exit_code=self._last_state.get("ExitCode"),
            oom_killed=self._oom_killed,
            restarted=was_restarted(self._first_state, self._last_state),
            paused=self._paused,
            stopped=self._stopped,
            error=self._error,
            stderr_tail=self._stderr_tail,
            timings_ms=self._timings_ms,
        )

    def _create_and_execute(self) -> None:
        if self._cancelled.is_set():
            return
        try:
            with self._engine.client() as client:
                with self._timed("create"):
                    container_id = self._container.create(client)
                self._execute(client, container_id)
        finally:
            self._remove()

    def _execute(self, client: EngineClient, container_id: str) -> None:
        # Closes the attached stream before it kills the container: an engine that still has output
        # to send there does not notice that the container has ended.
        with ExitStack() as stack:
            with client.attach(container_id) as attached:
                if self._cancelled.is_set():
                    return
                with self._timed("start"):
                    client.start(container_id)
                began = time.monotonic()
                self._first_state = client.inspect(container_id)["State"]
                # Before the request is sent: no hostile code runs until then.
                memory = stack.enter_context(watch_memory(container_id))
                self._exchange(attached, began + self._order.deadline_s, memory)
            has_exited = self._wait(client, container_id, began + self._order.deadline_s, memory)
            if not has_exited:
                self._paused = bool(client.inspect(container_id)["State"].get("Paused"))
                self._kill(client, container_id)
            self._timings_ms["run"] = (time.monotonic() - began) * 1000
            # Before the removal, which deletes the state.
            self._last_state, self._oom_killed = last_state(
                lambda: client.inspect(container_id)["State"],
                memory,
                killed_by_us=not has_exited,
            )

    def _exchange(self, attached: socket.socket, until: float, memory: MemoryWatch) -> None:
        session = AttachSession(attached, encode_line(self._order.request), self._sink, memory)
        try:
            self._stopped = session.run(until, self._cancelled.is_set)
        finally:
            self._stderr_tail = session.stderr_tail

    def _wait(
        self, client: EngineClient, container_id: str, until: float, memory: MemoryWatch
    ) -> bool:
        """Wait until a container that closed its output ends; return False to have it killed."""
        while self._stopped is None and not self._cancelled.is_set():
            memory.read()
            left_s = until - time.monotonic()
            if left_s <= 0:
                self._stopped = Stop.DEADLINE
            elif _has_exited(client, container_id, min(left_s, SLICE_S)):
                return True
        return False

    def _kill(self, client: EngineClient, container_id: str) -> None:
        # Never `stop`: a hostile PID 1 ignores SIGTERM until the grace period ends.
        client.kill(container_id)
        if not client.wait(container_id, _KILL_TIMEOUT_S):
            raise SandboxUnavailableError("Docker did not end the sandbox that was killed.")

    def _remove(self) -> None:
        """Remove the container with a client of its own; if this fails, the reaper removes it."""
        try:
            with self._timed("remove"), self._engine.client(_REMOVE_TIMEOUT_S) as client:
                self._container.remove(client)
        except SandboxUnavailableError as exc:
            name = self._container.name
            _log.warning("sandbox.not_removed name=%s error=%r", name, str(exc))

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self._timings_ms[phase] = (time.perf_counter() - began) * 1000


def last_state(
    inspect: Callable[[], dict[str, Any]], memory: MemoryWatch, *, killed_by_us: bool
) -> tuple[dict[str, Any], bool]:
    """Return the state of a container that has ended, and whether it lacked memory.

    The engine learns about a lack of memory from a separate event, which may come after the end.
    The kernel's last signal comes when the cgroup is removed. So after a SIGKILL without a known
    cause, the state is read again for a moment.
    """

    def read() -> tuple[dict[str, Any], bool]:
        state = inspect()
        return state, lacked_memory(engine=bool(state["OOMKilled"]), facts=memory.read())

    state, lacked = read()
    for _ in range(_STATE_RETRIES):
        if killed_by_us or lacked or state["ExitCode"] != SIGKILL_STATUS:
            break
        time.sleep(_STATE_RETRY_S)
        state, lacked = read()
    return state, lacked


def was_restarted(first: dict[str, Any], last: dict[str, Any]) -> bool:
    """Return True if somebody outside has started the container again.

    Both start times come from the engine, whose clock may differ from ours. If the engine reports
    no start time, only the exit status counts.
    """
    ours, latest = first.get("StartedAt"), last.get("StartedAt")
    return all(each and each != _NEVER_STARTED for each in (ours, latest)) and latest != ours


def _has_exited(client: EngineClient, container_id: str, slice_s: float) -> bool:
    """Wait for the end at most that long; then ask an engine that is slow to report it."""
    if client.wait(container_id, slice_s):
        return True
    return not client.inspect(container_id)["State"]["Running"]
