"""Runs one request in a started container, in one thread.

The worker sends the request and reads the output. Only where no complete report comes, it waits for
the end of the container, kills it and reads its state. Each wait has a limit. So the thread always
ends: also if a container prints without end, prints nothing, or closes its stdout and runs on, and
if the engine does not respond.
"""

import time
from collections.abc import Callable
from typing import Any

from safeurl.errors import SandboxUnavailableError
from safeurl.model.report import FetchRequest, encode_line
from safeurl.model.sandbox import SandboxExit, StartKind, Stop
from safeurl.ports.sandbox import Sink
from worker.attempt.classify import SIGKILL_STATUS, lacked_memory
from worker.sandbox.attach_session import SLICE_S, AttachSession
from worker.sandbox.engine import Engine, EngineClient
from worker.sandbox.frames import FrameError
from worker.sandbox.memory import MemoryWatch, Usage, watch_memory
from worker.sandbox.prepare import StartedContainer

#: How long a killed container may take to end: the kernel has to free its memory.
_KILL_TIMEOUT_S = 10.0
#: How often, and at what interval, the state is read again after a SIGKILL without a known cause.
_STATE_RETRIES = 5
_STATE_RETRY_S = 0.2
#: The start time that Docker reports for a container that never started.
_NEVER_STARTED = "0001-01-01T00:00:00Z"


class Execution:
    """One run; `run` is called once, in its own thread."""

    def __init__(  # noqa: PLR0913 - the parameters of a run, each passed by name
        self,
        engine: Engine,
        container: StartedContainer,
        request: FetchRequest,
        *,
        deadline_s: float,
        sink: Sink,
        start_kind: StartKind,
        is_cancelled: Callable[[], bool],
    ) -> None:
        """Take a container that has not been sent anything, and the request to send."""
        self._engine = engine
        self._container = container
        self._request = request
        self._deadline_s = deadline_s
        self._sink = sink
        self._start_kind = start_kind
        self._is_cancelled = is_cancelled
        self._stopped: Stop | None = None
        self._error: str | None = None
        #: Docker's state of the container after its end, if that was waited for.
        self._last_state: dict[str, Any] = {}
        self._oom_killed = False
        self._paused = False
        self._stderr_tail = ""
        self._usage = Usage()

    def run(self) -> SandboxExit:
        """Run the request until its report is complete or the container has ended."""
        began = time.monotonic()
        try:
            self._execute(began + self._deadline_s)
        except (SandboxUnavailableError, FrameError) as exc:
            self._error = str(exc)
        fetch_ms = (time.monotonic() - began) * 1000
        return SandboxExit(
            container_id=self._container.id,
            exit_code=self._last_state.get("ExitCode"),
            oom_killed=self._oom_killed,
            restarted=was_restarted(self._container.started_at, self._last_state),
            paused=self._paused,
            stopped=self._stopped,
            error=self._error,
            stderr_tail=self._stderr_tail,
            start_kind=self._start_kind,
            timings_ms={**self._container.timings_ms, "fetch": fetch_ms},
            peak_memory_bytes=self._usage.peak_memory_bytes,
            cpu_ms=self._usage.cpu_ms,
        )

    def _execute(self, until: float) -> None:
        # The watch begins before the request is sent: no hostile code runs until then.
        with watch_memory(self._container.id) as memory:
            # Closes the attached stream before it kills the container: an engine that still has
            # output to send there does not notice that the container has ended.
            with self._container.attached:
                is_complete = self._exchange(until, memory)
            self._usage = memory.usage()
            if is_complete:
                self._oom_killed = lacked_memory(engine=False, facts=memory.read())
            elif not self._is_cancelled():
                with self._engine.client() as client:
                    self._await_end(client, until, memory)

    def _exchange(self, until: float, memory: MemoryWatch) -> bool:
        """Send the request and read the output; return True if the sink has enough."""
        line = encode_line(self._request)
        session = AttachSession(self._container.attached, line, self._sink, memory)
        try:
            self._stopped = session.run(until, self._is_cancelled)
        finally:
            self._stderr_tail = session.stderr_tail
        return session.is_complete

    def _await_end(self, client: EngineClient, until: float, memory: MemoryWatch) -> None:
        """Wait for the container to end, or kill it; then read its state, before its removal."""
        container_id = self._container.id
        has_exited = self._wait(client, until, memory)
        if not has_exited:
            self._paused = bool(client.inspect(container_id)["State"].get("Paused"))
            self._kill(client)
        self._last_state, self._oom_killed = last_state(
            lambda: client.inspect(container_id)["State"],
            memory,
            killed_by_us=not has_exited,
        )

    def _wait(self, client: EngineClient, until: float, memory: MemoryWatch) -> bool:
        """Wait until a container that closed its output ends; return False to have it killed."""
        while self._stopped is None and not self._is_cancelled():
            memory.read()
            left_s = until - time.monotonic()
            if left_s <= 0:
                self._stopped = Stop.DEADLINE
            elif _has_exited(client, self._container.id, min(left_s, SLICE_S)):
                return True
        return False

    def _kill(self, client: EngineClient) -> None:
        # Never `stop`: a hostile PID 1 ignores SIGTERM until the grace period ends.
        client.kill(self._container.id)
        if not client.wait(self._container.id, _KILL_TIMEOUT_S):
            raise SandboxUnavailableError("Docker did not end the sandbox that was killed.")


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


def was_restarted(started_at: str | None, last: dict[str, Any]) -> bool:
    """Return True if somebody outside has started the container again.

    Both start times come from the engine, whose clock may differ from ours. If the engine reports
    no start time, only the exit status counts.
    """
    latest = last.get("StartedAt")
    return (
        all(each and each != _NEVER_STARTED for each in (started_at, latest))
        and latest != started_at
    )


def _has_exited(client: EngineClient, container_id: str, slice_s: float) -> bool:
    """Wait for the end at most that long; then ask an engine that is slow to report it."""
    if client.wait(container_id, slice_s):
        return True
    return not client.inspect(container_id)["State"]["Running"]
