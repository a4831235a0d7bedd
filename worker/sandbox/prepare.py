"""Creates the container of one attempt: its name, its options, its user id and its runtime."""

from dataclasses import replace
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


class PreparedContainer:
    """The container of one attempt: `create` makes it, `remove` removes it."""

    def __init__(
        self,
        engine: Engine,
        settings: SandboxSettings,
        order: SandboxOrder,
        *,
        clock: Clock,
        options: Options = container_options,
    ) -> None:
        """Take what the container is made from; nothing is created yet."""
        self._engine = engine
        self._settings = settings
        self._order = order
        self._clock = clock
        self._options = options
        self._uid = settings.uid
        self.name = labels.container_name(order.request.scan, order.request.attempt)
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
        request = self._order.request
        return remove_own(client, self._settings.instance, request.scan, request.attempt)
