"""One container from create to remove, in one thread.

The order is create, attach, start, converse, wait, inspect, remove. Everything that waits has a
limit, so that neither a container that prints for ever, nor a silent one, nor one that closes
its stdout and lives on, nor an engine that hangs can hold the thread.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from safeurl.errors import SandboxUnavailableError
from safeurl.model.report import encode_line
from safeurl.ports.clock import Clock
from safeurl.ports.sandbox import SandboxExit, SandboxOrder, Sink, Stop
from worker.attempt.classify import SIGKILL_STATUS, lacked_memory
from worker.sandbox import labels
from worker.sandbox.attach_session import SLICE_S, AttachSession
from worker.sandbox.engine import Engine, EngineClient, NameTakenError, RuntimeUnknownError
from worker.sandbox.frames import FrameError
from worker.sandbox.memory import MemoryWatch, watched
from worker.sandbox.options import Options, SandboxSettings, container_options
from worker.sandbox.reaper import remove_own
from worker.sandbox.runtime import AUTO, choose
from worker.sandbox.user import choose_uid, taken_uids

_log = logging.getLogger("safeurl.sandbox")

#: How long a killed container may take to die: the kernel has to free its memory.
_DEATH_S = 10.0
#: Removal has a limit of its own, whatever was left of the run's.
_REMOVE_S = 20.0
#: How often, and how far apart, a death without a cause is looked at again.
_LOOKS = 5
_LOOK_S = 0.2
#: When a container was started that never was.
_NEVER = "0001-01-01T00:00:00Z"
#: How often a sandbox is created anew because another has its user id; once is enough but where
#: several that have just been created meet, or the range is almost used up.
_UID_TRIES = 10


class ContainerRun:
    """One run; `run` is called once, in a thread of its own, `cancel` from anywhere."""

    def __init__(  # noqa: PLR0913 - what a run goes by, each handed in by name
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
        self._settings = settings
        self._order = order
        self._sink = sink
        self._clock = clock
        self._options = options
        self._cancelled = threading.Event()
        self._name = labels.container_name(order.request.scan, order.request.attempt)
        self._container_id: str | None = None
        self._uid = settings.uid
        self._stopped: Stop | None = None
        self._error: str | None = None
        self._state: dict[str, Any] = {}  # as Docker gives it
        self._oom_killed = False
        self._first_state: dict[str, Any] = {}
        self._paused = False
        self._stderr_tail = ""
        self._timings_ms: dict[str, float] = {}

    def cancel(self) -> None:
        """Make the run end soon, with the container killed and removed."""
        self._cancelled.set()

    def run(self) -> SandboxExit:
        """Run to the end; the container is removed when this returns or raises."""
        try:
            self._live()
        except (SandboxUnavailableError, FrameError) as exc:
            self._error = str(exc)
        return SandboxExit(
            container_id=self._container_id,
            exit_code=self._state.get("ExitCode"),
            oom_killed=self._oom_killed,
            restarted=was_restarted(self._first_state, self._state),
            paused=self._paused,
            stopped=self._stopped,
            error=self._error,
            stderr_tail=self._stderr_tail,
            timings_ms=self._timings_ms,
        )

    def _live(self) -> None:
        if self._cancelled.is_set():
            return
        try:
            with self._engine.client() as client:
                with self._timed("create"):
                    container_id = self._create_alone(client)
                self._use(client, container_id)
        finally:
            self._remove()

    def _create_alone(self, client: EngineClient) -> str:
        """Create the container with a user id that no other of the engine has."""
        taken: frozenset[int] = frozenset()
        for _ in range(_UID_TRIES):
            self._uid = choose_uid(self._settings.uids, taken)
            self._container_id = self._create(client)
            taken = taken_uids(client, self._container_id)
            if self._uid not in taken:
                return self._container_id
            client.remove(self._container_id)
            self._container_id = None
        raise SandboxUnavailableError(
            "Other sandboxes took each user id of SANDBOX_UIDS that was tried."
        )

    def _create(self, client: EngineClient) -> str:
        try:
            return client.create(self._name, self._body(client))
        except NameTakenError:
            # A create whose answer was lost has left a container of this very attempt.
            if not self._remove_namesake(client):
                raise
        except RuntimeUnknownError:
            # The list of runtimes was read a while ago, perhaps before our process was forked.
            if self._settings.runtime != AUTO:
                raise
            self._engine.forget_runtimes()
        return client.create(self._name, self._body(client))

    def _body(self, client: EngineClient) -> dict[str, Any]:
        settings = replace(self._settings, uid=self._uid)
        if settings.runtime == AUTO:
            choice = choose(AUTO, settings.network, self._engine.runtimes(client))
            settings = replace(settings, runtime=choice.name)
        deadline_at = self._clock() + timedelta(seconds=self._order.deadline_s)
        return self._options(settings, self._order, deadline_at)

    def _use(self, client: EngineClient, container_id: str) -> None:
        # The attached stream is closed before the container is killed: an engine that still
        # has output to hand over there does not notice the death.
        with ExitStack() as stack:
            with client.attach(container_id) as attached:
                if self._cancelled.is_set():
                    return
                with self._timed("start"):
                    client.start(container_id)
                began = time.monotonic()
                self._first_state = client.inspect(container_id)["State"]
                # Before the request goes in: until then nothing hostile runs.
                memory = stack.enter_context(watched(container_id))
                self._converse(attached, began + self._order.deadline_s, memory)
            ended_by_itself = self._outwait(
                client, container_id, began + self._order.deadline_s, memory
            )
            if not ended_by_itself:
                self._paused = bool(client.inspect(container_id)["State"].get("Paused"))
                self._kill(client, container_id)
            self._timings_ms["run"] = (time.monotonic() - began) * 1000
            # Read before the removal, which takes the state with it.
            self._state, self._oom_killed = last_state(
                lambda: client.inspect(container_id)["State"],
                memory,
                killed_by_us=not ended_by_itself,
            )

    def _converse(self, attached: socket.socket, until: float, memory: MemoryWatch) -> None:
        talk = AttachSession(attached, encode_line(self._order.request), self._sink, memory)
        try:
            self._stopped = talk.hold(until, self._cancelled.is_set)
        finally:
            self._stderr_tail = talk.stderr_tail

    def _outwait(
        self, client: EngineClient, container_id: str, until: float, memory: MemoryWatch
    ) -> bool:
        """Wait for the end of a container that says no more; False when it has to be killed."""
        while self._stopped is None and not self._cancelled.is_set():
            memory.look()
            left_s = until - time.monotonic()
            if left_s <= 0:
                self._stopped = Stop.DEADLINE
            elif _is_over(client, container_id, min(left_s, SLICE_S)):
                return True
        return False

    def _kill(self, client: EngineClient, container_id: str) -> None:
        # Never `stop`: a hostile PID 1 ignores SIGTERM for the whole grace.
        client.kill(container_id)
        if not client.wait(container_id, _DEATH_S):
            raise SandboxUnavailableError("Docker did not end the sandbox that was killed.")

    def _remove(self) -> None:
        """Remove the container with a client of its own; what fails here is the reaper's."""
        try:
            with self._timed("remove"), self._engine.client(_REMOVE_S) as client:
                if self._container_id is not None:
                    client.remove(self._container_id)
                else:
                    # The answer to create may have been lost on its way.
                    self._remove_namesake(client)
        except SandboxUnavailableError as exc:
            _log.warning("sandbox.not_removed name=%s error=%r", self._name, str(exc))

    def _remove_namesake(self, client: EngineClient) -> bool:
        request = self._order.request
        return remove_own(client, self._settings.instance, request.scan, request.attempt)

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self._timings_ms[phase] = (time.perf_counter() - began) * 1000


def last_state(
    look: Callable[[], dict[str, Any]], memory: MemoryWatch, *, killed_by_us: bool
) -> tuple[dict[str, Any], bool]:
    """Return the state of a container that has ended, and whether it lacked memory.

    The engine learns of a lack of memory by an event of its own, which can come after the end, and
    the kernel's last signal comes once the cgroup is removed; a SIGKILL that has no cause yet is
    looked at again for a moment.
    """

    def now() -> tuple[dict[str, Any], bool]:
        state = look()
        return state, lacked_memory(engine=bool(state["OOMKilled"]), facts=memory.look())

    state, lacked = now()
    for _ in range(_LOOKS):
        if killed_by_us or lacked or state["ExitCode"] != SIGKILL_STATUS:
            break
        time.sleep(_LOOK_S)
        state, lacked = now()
    return state, lacked


def was_restarted(first: dict[str, Any], last: dict[str, Any]) -> bool:
    """Tell whether the container's latest start is another than ours.

    Both times are the engine's, whose clock may be another than ours. An engine that does not say
    them leaves it to the exit status.
    """
    ours, latest = first.get("StartedAt"), last.get("StartedAt")
    return all(each and each != _NEVER for each in (ours, latest)) and latest != ours


def _is_over(client: EngineClient, container_id: str, slice_s: float) -> bool:
    """Wait that long for the end; an engine that answers more slowly than that is asked again."""
    if client.wait(container_id, slice_s):
        return True
    return not client.inspect(container_id)["State"]["Running"]
