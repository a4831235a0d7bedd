"""The process that serves one sandbox's socket: its connections, its record, and nobody else's.

What a sandbox sends is read here and nowhere else. However much work it makes, it makes for this
process alone, and the kernel divides the processors between the processes. Once a sandbox's socket
is closed, the process may serve another one; one whose sandbox was busy ends.
"""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
from pathlib import Path
from typing import Final

import msgspec

from safeurl.errors import ConfigError, EgressUnavailableError
from worker.egress.gateway.channel import MAX_WAITING, Channel
from worker.egress.gateway.dns.resolver import MAX_LOOKUPS
from worker.egress.gateway.traffic.connection import Means
from worker.egress.protocol import (
    ALREADY_BOUND,
    BAD_REQUEST,
    MAX_REQUEST_BYTES,
    SOCKET_NAME,
    UNAVAILABLE,
    UNKNOWN_SOCKET,
    Answer,
    Bind,
    Bound,
    Close,
    Expire,
    Failed,
    MemberRequest,
    Open,
    Opened,
    Record,
    encode,
)
from worker.egress.unix_socket import listen_in

_REQUESTS: Final = msgspec.json.Decoder(MemberRequest)
#: The loop's own descriptors, the log, and what opens for a moment.
_SPARE_DESCRIPTORS: Final = 64
#: A look-up asks for two kinds of addresses, each from a socket of its own.
_LOOKUP_SOCKETS: Final = 2
#: Each time that the process has used so much processor time, its priority falls by so many steps,
#: and no lower than the last: an ordinary scan uses a few milliseconds in all, so others' requests
#: go before a flood's. Where nobody else has work, a low priority costs nothing.
_CPU_STEP_S: Final = 0.1
_NICE_STEP: Final = 4
_LAST_NICE: Final = 8
#: The kernel ends this process, rather than the gateway or the worker, where memory is short.
_OOM_SCORE: Final = b"500"
#: A socket for anybody to use, as its folder is for anybody to enter.
_SOCKET_MODE: Final = 0o666
_BACKLOG: Final = 128
#: Sandboxes that one process serves, one after another. Nothing is known to grow in it.
_MAX_SERVED: Final = 100
#: New objects between two looks for garbage. Each look writes to pages that are shared until then.
_GARBAGE: Final = 10_000


def serve_member(link: socket.socket, means: Means) -> None:
    """Serve sandboxes, one after another, until the gateway closes the link."""
    gc.set_threshold(_GARBAGE)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_bytes(_OOM_SCORE)
    # Not `asyncio.run`, whose tidying costs as much as a small scan: this process ends at once.
    asyncio.new_event_loop().run_until_complete(_Member(means).serve(link))


class _Member:
    """Serves at most one sandbox at a time, and is used again while that costs it little."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._channel: Channel | None = None
        self._served = 0
        self._is_busy = False

    async def serve(self, link: socket.socket) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGPROF, self._give_way)
        reader, writer = await asyncio.open_unix_connection(sock=link, limit=MAX_REQUEST_BYTES)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while self._channel is not None or self._is_fit():
                    request = _REQUESTS.decode(await reader.readuntil(b"\n"))
                    writer.write(encode(await self._do(request)))
                    await writer.drain()
        finally:
            if self._channel is not None:
                await self._channel.close()
            writer.close()

    def _is_fit(self) -> bool:
        """Whether it has its first priority, and is not used so often that it may have grown."""
        return not self._is_busy and self._served < _MAX_SERVED

    async def _do(self, request: MemberRequest) -> Answer:
        channel = self._channel
        if isinstance(request, Open):
            return self._open(request)
        if channel is None:
            return Failed(code=UNKNOWN_SOCKET, message="The process serves no socket now.")
        match request:
            case Bind():
                return _bind(channel, request)
            case Expire():
                channel.expire()
            case Close():
                self._channel = None
                return Record(evidence=await channel.close())
            case _:
                pass
        return Record(evidence=channel.evidence())

    def _open(self, request: Open) -> Answer:
        try:
            listener = listen_in(Path(request.directory), SOCKET_NAME, _SOCKET_MODE, _BACKLOG)
        except OSError as error:
            return Failed(code=UNAVAILABLE, message=f"The gateway cannot do this: {error}.")
        signal.setitimer(signal.ITIMER_PROF, _CPU_STEP_S)
        self._served += 1
        self._channel = Channel(listener, self._means)
        self._channel.open()
        return Opened()

    def _give_way(self) -> None:
        """Lower this process' priority; where a service manager forbids that, it stays."""
        self._is_busy = True
        signal.setitimer(signal.ITIMER_PROF, _CPU_STEP_S if _lowered() < _LAST_NICE else 0)


def _bind(channel: Channel, request: Bind) -> Answer:
    if channel.owner is not None:
        message = "The socket belongs to an attempt already."
        return Failed(code=ALREADY_BOUND, message=message)
    try:
        channel.bind(request)
    except ConfigError as error:
        return Failed(code=BAD_REQUEST, message=f"The gateway cannot read this: {error}")
    except EgressUnavailableError as error:
        return Failed(code=UNAVAILABLE, message=str(error))
    except OSError as error:
        return Failed(code=UNAVAILABLE, message=f"The gateway cannot do this: {error}.")
    _limit_descriptors(request.policy.caps.max_concurrent)
    return Bound()


def _limit_descriptors(max_concurrent: int) -> None:
    """Allow two for each open connection, one for each that waits, and those of look-ups."""
    wanted = 2 * max_concurrent + MAX_WAITING + _LOOKUP_SOCKETS * MAX_LOOKUPS + _SPARE_DESCRIPTORS
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or wanted < hard:
        # A service manager may forbid it; then its own limit holds.
        with contextlib.suppress(OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _lowered() -> int:
    """Lower the priority by a step; return where it is."""
    try:
        return os.nice(_NICE_STEP)
    except OSError:
        return _LAST_NICE
