"""The anchors: empty containers whose network namespaces sandboxes use, one after another.

The engine needs 100 ms of CPU time to set up a container with a network namespace of its own, and
almost nothing for one that joins an existing namespace. An anchor has no network: its namespace
holds a loopback interface and nothing that a sandbox could leave there for the next one. No two
sandboxes use one at the same time: an anchor is free again after the engine has confirmed that the
sandbox is gone.
"""

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from safeurl.errors import SandboxUnavailableError
from safeurl.ports.clock import Clock
from worker.sandbox import labels
from worker.sandbox.engine import EngineClient
from worker.sandbox.options import SandboxSettings, anchor_options
from worker.sandbox.pool.engine_threads import EngineThreads

_log = logging.getLogger("safeurl.pool")

#: An anchor is replaced after this time, so that its label, which Docker cannot change, may have a
#: deadline: an anchor that nobody knows any more is removed after it.
_LIFETIME: Final = timedelta(hours=1)
#: After an anchor could not be started, sandboxes have a network namespace of their own so long.
_PAUSE_S: Final = 60.0


@dataclass(slots=True, eq=False)
class Anchor:
    """One container; it belongs to at most one sandbox."""

    name: str
    id: str = ""
    started_s: float = field(default_factory=time.monotonic)


class Anchors:
    """The anchors of one pool; belongs to one event loop."""

    def __init__(
        self,
        starts: EngineThreads,
        removals: EngineThreads,
        pool: str,
        clock: Clock,
        *,
        use_s: float,
    ) -> None:
        """Take the threads that call the engine, and the id of the pool for the labels.

        A sandbox uses an anchor for `use_s` seconds at most.
        """
        self._starts = starts
        self._removals = removals
        self._pool = pool
        self._clock = clock
        #: The last sandbox may get it at the end of its lifetime.
        self._needed_for = _LIFETIME + timedelta(seconds=use_s)
        self._free: deque[Anchor] = deque()
        #: All that exist or are being made or removed.
        self._all: set[Anchor] = set()
        self._paused_until_s = 0.0

    @property
    def names(self) -> list[str]:
        """The names of all anchors."""
        return [anchor.name for anchor in self._all]

    async def take(self, settings: SandboxSettings) -> Anchor | None:
        """Return a free anchor or a new one; None if this host can start none now."""
        while self._free:
            anchor = self._free.popleft()
            if time.monotonic() - anchor.started_s < _LIFETIME.total_seconds():
                return anchor
            await self.drop(anchor)
        if time.monotonic() < self._paused_until_s:
            return None
        try:
            return await self._start(settings)
        except SandboxUnavailableError as error:
            # An image of another release has no program for anchors.
            self._paused_until_s = time.monotonic() + _PAUSE_S
            _log.warning("pool.no_anchor error=%r", str(error))
            return None

    def give_back(self, anchor: Anchor) -> None:
        """Make it free; only after its sandbox is gone."""
        self._free.append(anchor)

    async def drop(self, anchor: Anchor) -> None:
        """Remove an anchor for good; one that cannot be removed is left to the reaper."""
        try:
            await self._removals.run(lambda client: client.remove(anchor.id or anchor.name))
        except SandboxUnavailableError as error:
            _log.warning("pool.anchor_left name=%s error=%r", anchor.name, str(error))
        self._all.discard(anchor)

    async def trim(self, size: int) -> None:
        """Remove free anchors until at most `size` anchors exist."""
        while self._free and len(self._all) > size:
            await self.drop(self._free.popleft())

    async def close(self) -> None:
        """Remove all anchors, also those that sandboxes use: a namespace lives with its users."""
        self._free.clear()
        await asyncio.gather(*(self.drop(anchor) for anchor in tuple(self._all)))

    async def _start(self, settings: SandboxSettings) -> Anchor:
        anchor = Anchor(labels.anchor_name())
        self._all.add(anchor)
        deadline_at: datetime = self._clock() + self._needed_for
        body = anchor_options(settings, self._pool, deadline_at)

        def start(client: EngineClient) -> str:
            container_id = client.create(anchor.name, body)
            client.start(container_id)
            return container_id

        try:
            anchor.id = await self._starts.run(start)
        except BaseException:
            await self.drop(anchor)
            raise
        return anchor
