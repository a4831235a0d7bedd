"""All sockets of one gateway: made, bound, read and closed for workers, or expired."""

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safeurl.report import EgressEvidence
from worker.egress.channel import Channel
from worker.egress.connection import Means
from worker.egress.protocol import (
    ALREADY_BOUND,
    UNAVAILABLE,
    UNKNOWN_SOCKET,
    Bind,
    BoundSocket,
)

_log = logging.getLogger("safeurl.egress")

#: How long a bound socket stays after its deadline, for the worker to close it.
GRACE_S: Final = 30.0
#: The evidence of expired sockets: how much of it is kept, and how long.
_MAX_KEPT: Final = 256
_KEPT_S: Final = 600.0
_MAX_CHANNELS: Final = 4096


class GatewayError(Exception):
    """The gateway does not do this; `code` is the protocol's, the message one for the log."""

    def __init__(self, code: str, message: str) -> None:
        """Keep the code beside the sentence."""
        super().__init__(message)
        self.code = code


@dataclass(slots=True)
class _Held:
    channel: Channel
    expiry: asyncio.TimerHandle
    instance: str = ""
    bound_s: float = 0.0


class Gateway:
    """The registry; lives on one loop."""

    def __init__(
        self, sockets: Path, means: Means, unbound_s: float, grace_s: float = GRACE_S
    ) -> None:
        """Take the existing folder that holds the sockets' folders."""
        self._sockets = sockets
        self._means = means
        self._unbound_s = unbound_s
        self._grace_s = grace_s
        self._held: dict[str, _Held] = {}
        self._kept: OrderedDict[str, tuple[float, EgressEvidence]] = OrderedDict()
        self._expiring: set[asyncio.Task[None]] = set()

    def create(self) -> tuple[str, Path]:
        """Make a socket; return its id and folder."""
        if len(self._held) >= _MAX_CHANNELS:
            raise GatewayError(UNAVAILABLE, "The gateway has as many sockets as it may have.")
        socket_id = secrets.token_hex(8)
        channel = Channel(self._sockets / socket_id, self._means)
        channel.open()
        self._held[socket_id] = _Held(channel, self._expire_in(socket_id, self._unbound_s))
        return socket_id, channel.directory

    def bind(self, request: Bind) -> None:
        """Give the socket to an attempt; raises `ConfigError` on a bad policy."""
        held = self._find(request.id)
        if held.channel.owner is not None:
            raise GatewayError(ALREADY_BOUND, "The socket belongs to an attempt already.")
        held.channel.bind(request)
        held.instance, held.bound_s = request.instance, time.monotonic()
        held.expiry.cancel()
        held.expiry = self._expire_in(request.id, request.deadline_s + self._grace_s)

    def bound_to(self, instance: str) -> tuple[BoundSocket, ...]:
        """Return the sockets that belong to attempts of this instance."""
        now_s = time.monotonic()
        return tuple(
            BoundSocket(id=key, scan=owner[0], attempt=owner[1], age_s=now_s - held.bound_s)
            for key, held in self._held.items()
            if (owner := held.channel.owner) is not None and held.instance == instance
        )

    def collect(self, socket_id: str) -> EgressEvidence:
        """Return the evidence so far; of an expired socket, all of it."""
        kept = self._find_kept(socket_id)
        return self._find(socket_id).channel.evidence() if kept is None else kept

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
        await asyncio.gather(*(self._end(*each, expired=False) for each in ending.items()))
        if self._expiring:
            await asyncio.wait(self._expiring)

    async def _end(self, socket_id: str, held: _Held, *, expired: bool) -> EgressEvidence:
        held.expiry.cancel()
        evidence = await held.channel.close(expired=expired)
        _log.info(
            "egress.closed socket=%s scan=%s attempt=%d requests=%d bytes_in=%d bytes_out=%d "
            "expired=%s",
            *(socket_id, evidence.scan, evidence.attempt, evidence.requests),
            *(evidence.bytes_in, evidence.bytes_out, str(expired).lower()),
        )
        return evidence

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

    def _expire_in(self, socket_id: str, seconds: float) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, self._start_expiry, socket_id)

    def _start_expiry(self, socket_id: str) -> None:
        task = asyncio.get_running_loop().create_task(self._expire(socket_id))
        self._expiring.add(task)
        task.add_done_callback(self._expiring.discard)

    async def _expire(self, socket_id: str) -> None:
        if socket_id in self._held:
            evidence = await self._end(socket_id, self._held.pop(socket_id), expired=True)
            self._kept[socket_id] = (time.monotonic(), evidence)
            self._forget_old()

    def _forget_old(self) -> None:
        oldest_s = time.monotonic() - _KEPT_S
        while self._kept and (
            len(self._kept) > _MAX_KEPT or next(iter(self._kept.values()))[0] < oldest_s
        ):
            self._kept.popitem(last=False)
