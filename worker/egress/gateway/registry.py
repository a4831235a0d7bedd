"""All sockets of one gateway: made, bound, read and closed for workers, or expired.

Here are the clocks and the answers to workers; nothing that a sandbox sends is read in this
process, so that no sandbox can hold it up.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from safeurl.model.report import EgressEvidence
from worker.egress.gateway.link import GatewayError, Link
from worker.egress.gateway.spawner import Spawner
from worker.egress.protocol import (
    UNAVAILABLE,
    UNKNOWN_SOCKET,
    Bind,
    BoundSocket,
    Close,
    Collect,
    Expire,
)

_log = logging.getLogger("safeurl.egress")

#: How long a bound socket stays after its deadline, for the worker to close it.
GRACE_S: Final = 30.0
#: The evidence of expired sockets: how much of it is kept, and how long.
_MAX_KEPT: Final = 256
_KEPT_S: Final = 600.0
#: Each has a process of a few megabytes.
_MAX_CHANNELS: Final = 1024
_MAX_IDLE: Final = 16
#: The process of a socket ends its scan's time itself. So long after that it is told to, and is
#: killed where it does not answer: no sandbox holds up its own deadline.
_LATE_S: Final = 0.5
_EXPIRE_S: Final = 2.0


@dataclass(slots=True)
class _Held:
    link: Link
    expiry: asyncio.TimerHandle
    #: Whose it is, once it is bound.
    bound: Bind | None = None
    bound_s: float = 0.0
    deadline: asyncio.TimerHandle | None = None

    def stop_clocks(self) -> None:
        self.expiry.cancel()
        if self.deadline is not None:
            self.deadline.cancel()


class Gateway:
    """The registry; lives on one loop."""

    def __init__(
        self, sockets: Path, spawner: Spawner, unbound_s: float, grace_s: float = GRACE_S
    ) -> None:
        """Take the existing folder that holds the sockets' folders."""
        self._sockets = sockets
        self._spawner = spawner
        self._unbound_s = unbound_s
        self._grace_s = grace_s
        self._held: dict[str, _Held] = {}
        self._kept: OrderedDict[str, tuple[float, EgressEvidence]] = OrderedDict()
        #: Processes that have served a sandbox and serve none now: a new one costs more than an
        #: ordinary scan does here.
        self._idle: list[Link] = []
        #: What was begun by a clock, and not yet ended.
        self._tasks: set[asyncio.Task[None]] = set()

    async def create(self) -> tuple[str, Path]:
        """Make a socket; return its id and folder."""
        if len(self._held) >= _MAX_CHANNELS:
            raise GatewayError(UNAVAILABLE, "The gateway has as many sockets as it may have.")
        socket_id = secrets.token_hex(8)
        directory = self._sockets / socket_id
        link = await self._open(directory)
        expiry = self._call_later(self._unbound_s, lambda: self._expire(socket_id))
        self._held[socket_id] = _Held(link, expiry)
        return socket_id, directory

    async def _open(self, directory: Path) -> Link:
        """Have a process that serves nobody open the socket, or a new one."""
        while self._idle:
            link = self._idle.pop()
            if not link.has_ended:
                try:
                    await link.open(directory)
                except GatewayError as error:
                    link.let_go()
                    if error.code != UNKNOWN_SOCKET:
                        raise
                else:
                    return link
        link = await Link.start(self._spawner)
        try:
            await link.open(directory)
        except BaseException:
            link.kill()
            raise
        return link

    async def bind(self, request: Bind) -> None:
        """Give the socket to an attempt; raises `GatewayError` on a bad policy."""
        held = self._find(request.id)
        await held.link.ask(request)
        held.bound, held.bound_s = request, time.monotonic()
        held.expiry.cancel()
        if request.id in self._held:
            held.expiry = self._call_later(
                request.deadline_s + self._grace_s, lambda: self._expire(request.id)
            )
            held.deadline = self._call_later(
                request.deadline_s + _LATE_S, lambda: self._end_time(held.link)
            )

    def bound_to(self, instance: str) -> tuple[BoundSocket, ...]:
        """Return the sockets that belong to attempts of this instance."""
        now_s = time.monotonic()
        return tuple(
            BoundSocket(id=key, scan=bound.scan, attempt=bound.attempt, age_s=now_s - held.bound_s)
            for key, held in self._held.items()
            if (bound := held.bound) is not None and bound.instance == instance
        )

    async def collect(self, socket_id: str) -> EgressEvidence:
        """Return the evidence so far; of an expired socket, all of it."""
        kept = self._find_kept(socket_id)
        if kept is not None:
            return kept
        return await self._find(socket_id).link.record(Collect(id=socket_id))

    async def close(self, socket_id: str) -> EgressEvidence:
        """Remove the socket and return its evidence; it is unknown from then on."""
        kept = self._find_kept(socket_id)
        if kept is not None:
            del self._kept[socket_id]
            return kept
        self._find(socket_id)
        return await self._end(socket_id, self._held.pop(socket_id), expired=False)

    async def close_all(self) -> None:
        """Remove every socket."""
        ending, self._held = self._held, {}
        await asyncio.gather(
            *(self._end(*each, expired=False) for each in ending.items()), return_exceptions=True
        )
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.gather(*(link.end() for link in self._idle))

    async def _end(self, socket_id: str, held: _Held, *, expired: bool) -> EgressEvidence:
        held.stop_clocks()
        try:
            record = await held.link.record(Close(id=socket_id))
        finally:
            held.link.clear()
        if len(self._idle) < _MAX_IDLE:
            self._idle.append(held.link)
        else:
            held.link.let_go()
        evidence = msgspec.structs.replace(record, expired=expired)
        _log.info(
            "egress.closed socket=%s scan=%s attempt=%d requests=%d bytes_in=%d bytes_out=%d "
            "expired=%s",
            *(socket_id, evidence.scan, evidence.attempt, evidence.requests),
            *(evidence.bytes_in, evidence.bytes_out, str(expired).lower()),
        )
        return evidence

    @staticmethod
    async def _end_time(link: Link) -> None:
        """Have the process end the time that it should have ended by itself, or be killed."""
        with contextlib.suppress(GatewayError):
            await link.ask(Expire(), _EXPIRE_S)

    def _find(self, socket_id: str) -> _Held:
        try:
            return self._held[socket_id]
        except KeyError:
            raise GatewayError(
                UNKNOWN_SOCKET,
                "The gateway has no such socket: it was started again, or the socket expired.",
            ) from None

    def _find_kept(self, socket_id: str) -> EgressEvidence | None:
        self._forget_old()
        return self._kept[socket_id][1] if socket_id in self._kept else None

    def _call_later(
        self, seconds: float, act: Callable[[], Coroutine[None, None, None]]
    ) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, self._start, act)

    def _start(self, act: Callable[[], Coroutine[None, None, None]]) -> None:
        task = asyncio.get_running_loop().create_task(act())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _expire(self, socket_id: str) -> None:
        if socket_id not in self._held:
            return
        with contextlib.suppress(GatewayError):
            evidence = await self._end(socket_id, self._held.pop(socket_id), expired=True)
            self._kept[socket_id] = (time.monotonic(), evidence)
            self._forget_old()

    def _forget_old(self) -> None:
        oldest_s = time.monotonic() - _KEPT_S
        while self._kept and (
            len(self._kept) > _MAX_KEPT or next(iter(self._kept.values()))[0] < oldest_s
        ):
            self._kept.popitem(last=False)
