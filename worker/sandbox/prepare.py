"""Creates and starts a container: its name, its options, its user id and its runtime.

The order is create, attach, start. Each wait has a limit.
"""

import logging
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from safeurl.errors import SandboxUnavailableError
from safeurl.model.sandbox import SandboxOrder
from safeurl.ports.clock import Clock
from worker.sandbox import labels
from worker.sandbox.engine import Engine, EngineClient, NameTakenError, RuntimeUnknownError
from worker.sandbox.options import Options, SandboxSettings, container_options
from worker.sandbox.reaper import remove_own
from worker.sandbox.runtime import AUTO, choose_runtime
from worker.sandbox.user import choose_uid, taken_uids

#: How often a container is created again because another one has its user id. One retry is enough
#: unless several are created at once, or the range is almost used up.
_UID_TRIES = 10
#: The time limit of each call for a removal, independent of the deadline of the run.
_REMOVE_TIMEOUT_S = 20.0

_log = logging.getLogger("safeurl.sandbox")


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedContainer:
    """The facts of a started container, and the one connection to its streams."""

    id: str
    name: str
    #: The engine's time of the start, as it wrote it; None where it said none.
    started_at: str | None
    attached: socket.socket
    #: Milliseconds of `create` and `start`; empty for a container that was started ahead.
    timings_ms: Mapping[str, float] = field(default_factory=dict)


class NewContainer:
    """The container of one order: `create` makes it, `remove` removes it."""

    def __init__(
        self,
        engine: Engine,
        settings: SandboxSettings,
        order: SandboxOrder,
        *,
        clock: Clock,
        options: Options = container_options,
    ) -> None:
        """Store the parts of the container; nothing is created yet."""
        self._engine = engine
        self._settings = settings
        self._order = order
        self._clock = clock
        self._options = options
        self._uid = settings.uid
        self.name = labels.container_name(order.scan, order.attempt)
        #: The engine's id of the container; None while there is none.
        self.id: str | None = None

    def create(self, client: EngineClient) -> str:
        """Create the container with a user id that no other container of the engine has."""
        taken: frozenset[int] = frozenset()
        for _ in range(_UID_TRIES):
            self._uid = choose_uid(self._settings.uids, taken)
            self.id = self._create(client)
            taken = taken_uids(client, self.id)
            if self._uid not in taken:
                return self.id
            client.remove(self.id)
            self.id = None
        raise SandboxUnavailableError(
            "Other sandboxes took each user id of SANDBOX_UIDS that was tried."
        )

    def remove(self, client: EngineClient) -> None:
        """Kill and remove the container, also if the response to `create` was lost."""
        if self.id is not None:
            client.remove(self.id)
        else:
            self._remove_by_name(client)

    def _create(self, client: EngineClient) -> str:
        try:
            return client.create(self.name, self._body(client))
        except NameTakenError:
            # The response to an earlier request was lost: it has left a container of this attempt.
            if not self._remove_by_name(client):
                raise
        except RuntimeUnknownError:
            # The list of runtimes is outdated; it may have been read before the worker forked.
            if self._settings.runtime != AUTO:
                raise
            self._engine.forget_runtimes()
        return client.create(self.name, self._body(client))

    def _body(self, client: EngineClient) -> dict[str, Any]:
        settings = replace(self._settings, uid=self._uid)
        if settings.runtime == AUTO:
            choice = choose_runtime(AUTO, settings.network, self._engine.runtimes(client))
            settings = replace(settings, runtime=choice.name)
        deadline_at = self._clock() + timedelta(seconds=self._order.deadline_s)
        return self._options(settings, self._order, deadline_at)

    def _remove_by_name(self, client: EngineClient) -> bool:
        order = self._order
        return remove_own(client, self._settings.instance, order.scan, order.attempt)


def start_container(
    engine: Engine, new: NewContainer, is_cancelled: Callable[[], bool]
) -> StartedContainer:
    """Create, attach and start the container; if this fails or is cancelled, it is removed.

    Blocks; raises SandboxUnavailableError.
    """
    timings_ms: dict[str, float] = {}
    try:
        with engine.client() as client:
            _check(is_cancelled)
            with _timed(timings_ms, "create"):
                container_id = new.create(client)
            attached = client.attach(container_id)
            try:
                _check(is_cancelled)
                with _timed(timings_ms, "start"):
                    client.start(container_id)
                    state = client.inspect(container_id)["State"]
            except BaseException:
                attached.close()
                raise
    except BaseException:
        _remove_new(engine, new)
        raise
    return StartedContainer(
        id=container_id,
        name=new.name,
        started_at=state.get("StartedAt"),
        attached=attached,
        timings_ms=timings_ms,
    )


def remove_container(engine: Engine, container_id: str) -> None:
    """Kill and remove a container with a separate client; blocks."""
    with engine.client(_REMOVE_TIMEOUT_S) as client:
        client.remove(container_id)


def _check(is_cancelled: Callable[[], bool]) -> None:
    if is_cancelled():
        raise SandboxUnavailableError("The start of the sandbox was cancelled.")


def _remove_new(engine: Engine, new: NewContainer) -> None:
    """Remove what was created; if this fails, the reaper removes it."""
    try:
        with engine.client(_REMOVE_TIMEOUT_S) as client:
            new.remove(client)
    except SandboxUnavailableError as exc:
        _log.warning("sandbox.not_removed name=%s error=%r", new.name, str(exc))


@contextmanager
def _timed(timings_ms: dict[str, float], phase: str) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:
        timings_ms[phase] = (time.perf_counter() - began) * 1000
