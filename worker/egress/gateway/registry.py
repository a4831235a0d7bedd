"""The registry of the gateway's sockets: makes, binds, reads and closes them, and expires them.

This process runs the timers and serves the workers. It never reads bytes of a sandbox, so no
sandbox can delay it.
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

from safeurl.model.egress_evidence import EgressEvidence
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

#: How long a bound socket stays after its deadline, so that the worker can close it.
GRACE_S: Final = 30.0
#: How many expired sockets keep their evidence, and for how long.
_MAX_EXPIRED: Final = 256
_EXPIRED_S: Final = 600.0
#: Each socket has a process of a few megabytes.
_MAX_CHANNELS: Final = 1024
_MAX_IDLE: Final = 16
#: The process of a socket enforces the deadline itself. After this further delay the gateway sends
#: `Expire`, and kills the process if it does not respond: no sandbox can delay its deadline.
_DEADLINE_MARGIN_S: Final = 0.5
_EXPIRE_TIMEOUT_S: Final = 2.0


@dataclass(slots=True)
class _OpenSocket:
    link: Link
    expiry: asyncio.TimerHandle
    #: The assignment, once it is bound.
    bound: Bind | None = None
    bound_s: float = 0.0
    deadline: asyncio.TimerHandle | None = None

    def cancel_timers(self) -> None:
        self.expiry.cancel()
        if self.deadline is not None:
            self.deadline.cancel()


class Gateway:
    """The registry of sockets; it belongs to one event loop."""

    def __init__(
        self, sockets: Path, spawner: Spawner, unbound_s: float, grace_s: float = GRACE_S
    ) -> None:
        """Take the existing folder for the sockets' folders."""
        self._sockets = sockets
        self._spawner = spawner
        self._unbound_s = unbound_s
        self._grace_s = grace_s
        self._open_sockets: dict[str, _OpenSocket] = {}
        self._expired: OrderedDict[str, tuple[float, EgressEvidence]] = OrderedDict()
        #: Idle processes, kept because a new process costs more CPU time than an ordinary scan.
        self._idle: list[Link] = []
        #: The running tasks that a timer has started.
        self._tasks: set[asyncio.Task[None]] = set()

    async def create(self) -> tuple[str, Path]:
        """Make a socket; return its id and folder."""
        if len(self._open_sockets) >= _MAX_CHANNELS:
            raise GatewayError(UNAVAILABLE, "The gateway has reached its limit of sockets.")
        socket_id = secrets.token_hex(8)
        directory = self._sockets / socket_id
        link = await self._open(directory)
        expiry = self._call_later(self._unbound_s, lambda: self._expire(socket_id))
        self._open_sockets[socket_id] = _OpenSocket(link, expiry)
        return socket_id, directory

    async def _open(self, directory: Path) -> Link:
        """Open the socket in an idle process, or else in a new one."""
        while self._idle:
            link = self._idle.pop()
            if not link.has_ended:
                try:
                    await link.open(directory)
                except GatewayError as error:
                    link.release()
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
        """Assign the socket to an attempt; raise `GatewayError` for a bad policy."""
        opened = self._find(request.id)
        await opened.link.ask(request)
        opened.bound, opened.bound_s = request, time.monotonic()
        opened.expiry.cancel()
        if request.id in self._open_sockets:
            opened.expiry = self._call_later(
                request.deadline_s + self._grace_s, lambda: self._expire(request.id)
            )
            opened.deadline = self._call_later(
                request.deadline_s + _DEADLINE_MARGIN_S, lambda: self._enforce_deadline(opened.link)
            )

    def bound_to(self, instance: str) -> tuple[BoundSocket, ...]:
        """Return the sockets that are assigned to attempts of this instance."""
        now_s = time.monotonic()
        return tuple(
            BoundSocket(
                id=key, scan=bound.scan, attempt=bound.attempt, age_s=now_s - opened.bound_s
            )
            for key, opened in self._open_sockets.items()
            if (bound := opened.bound) is not None and bound.instance == instance
        )

    async def collect(self, socket_id: str) -> EgressEvidence:
        """Return the evidence so far; for an expired socket, all evidence."""
        evidence = self._find_expired(socket_id)
        if evidence is not None:
            return evidence
        return await self._find(socket_id).link.record(Collect(id=socket_id))

    async def close(self, socket_id: str) -> EgressEvidence:
        """Remove the socket and return its evidence; its id is then unknown."""
        evidence = self._find_expired(socket_id)
        if evidence is not None:
            del self._expired[socket_id]
            return evidence
        self._find(socket_id)
        return await self._end(socket_id, self._open_sockets.pop(socket_id), expired=False)

    async def close_all(self) -> None:
        """Remove every socket."""
        ending, self._open_sockets = self._open_sockets, {}
        await asyncio.gather(
            *(self._end(*each, expired=False) for each in ending.items()), return_exceptions=True
        )
        if self._tasks:
            await asyncio.wait(self._tasks)
        await asyncio.gather(*(link.end() for link in self._idle))

    async def _end(self, socket_id: str, opened: _OpenSocket, *, expired: bool) -> EgressEvidence:
        opened.cancel_timers()
        try:
            record = await opened.link.record(Close(id=socket_id))
        finally:
            opened.link.remove_sandbox_folder()
        if len(self._idle) < _MAX_IDLE:
            self._idle.append(opened.link)
        else:
            opened.link.release()
        evidence = msgspec.structs.replace(record, expired=expired)
        _log.info(
            "egress.closed socket=%s scan=%s attempt=%d requests=%d bytes_in=%d bytes_out=%d "
            "expired=%s",
            *(socket_id, evidence.scan, evidence.attempt, evidence.requests),
            *(evidence.bytes_in, evidence.bytes_out, str(expired).lower()),
        )
        return evidence

    @staticmethod
    async def _enforce_deadline(link: Link) -> None:
        """Tell the process that the deadline has passed; `ask` kills it if it does not respond."""
        with contextlib.suppress(GatewayError):
            await link.ask(Expire(), _EXPIRE_TIMEOUT_S)

    def _find(self, socket_id: str) -> _OpenSocket:
        try:
            return self._open_sockets[socket_id]
        except KeyError:
            raise GatewayError(
                UNKNOWN_SOCKET,
                "The gateway has no such socket: the gateway has restarted, or the socket expired.",
            ) from None

    def _find_expired(self, socket_id: str) -> EgressEvidence | None:
        self._discard_old()
        return self._expired[socket_id][1] if socket_id in self._expired else None

    def _call_later(
        self, seconds: float, act: Callable[[], Coroutine[None, None, None]]
    ) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, self._start, act)

    def _start(self, act: Callable[[], Coroutine[None, None, None]]) -> None:
        task = asyncio.get_running_loop().create_task(act())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _expire(self, socket_id: str) -> None:
        if socket_id not in self._open_sockets:
            return
        with contextlib.suppress(GatewayError):
            evidence = await self._end(socket_id, self._open_sockets.pop(socket_id), expired=True)
            self._expired[socket_id] = (time.monotonic(), evidence)
            self._discard_old()

    def _discard_old(self) -> None:
        oldest_s = time.monotonic() - _EXPIRED_S
        while self._expired and (
            len(self._expired) > _MAX_EXPIRED or next(iter(self._expired.values()))[0] < oldest_s
        ):
            self._expired.popitem(last=False)
