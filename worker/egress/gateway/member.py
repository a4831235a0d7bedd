"""The process that serves the socket of one sandbox: its connections and its evidence.

Only this process reads the bytes of the sandbox. So the work that a sandbox causes uses the CPU
time of this process alone, and the kernel shares the CPUs between the processes. After the socket
is closed, the process may serve another sandbox; a process that used much CPU time ends instead.
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
from worker.egress.gateway.traffic.connection import SharedResources
from worker.egress.protocol import (
    ALREADY_BOUND,
    BAD_REQUEST,
    MAX_REQUEST_BYTES,
    SOCKET_NAME,
    UNAVAILABLE,
    UNKNOWN_SOCKET,
    Bind,
    Bound,
    Close,
    Expire,
    Failed,
    MemberRequest,
    Open,
    Opened,
    Record,
    Response,
    encode,
)
from worker.egress.unix_socket import listen_in

_REQUESTS: Final = msgspec.json.Decoder(MemberRequest)
#: Descriptors of the event loop, the log, and files that are open for a moment.
_SPARE_DESCRIPTORS: Final = 64
#: A look-up sends two queries (A and AAAA), each from its own socket.
_LOOKUP_SOCKETS: Final = 2
#: After each period of this much CPU time, the nice value rises by one step, up to the last one. An
#: ordinary scan uses a few milliseconds in total, so its requests run before those of a flood. A
#: low priority costs nothing while no other process needs the CPU.
_CPU_STEP_S: Final = 0.1
_NICE_STEP: Final = 4
_LAST_NICE: Final = 8
#: If memory is short, the kernel kills this process before the gateway or the worker.
_OOM_SCORE: Final = b"500"
#: Open to every user, like its folder.
_SOCKET_MODE: Final = 0o666
_BACKLOG: Final = 128
#: How many sandboxes one process serves, one after another; bounds an unknown memory leak.
_MAX_SERVED: Final = 100
#: New objects between two garbage collections. Each collection writes to memory pages that the
#: processes share until then.
_GC_THRESHOLD: Final = 10_000


def serve_member(link: socket.socket, resources: SharedResources) -> None:
    """Serve sandboxes, one after another, until the gateway closes the link."""
    gc.set_threshold(_GC_THRESHOLD)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_bytes(_OOM_SCORE)
    # Not `asyncio.run`: its cleanup costs as much as a small scan, and this process ends anyway.
    asyncio.new_event_loop().run_until_complete(_Member(resources).serve(link))


class _Member:
    """Serves at most one sandbox at a time; reusable while its sandboxes used little CPU time."""

    def __init__(self, resources: SharedResources) -> None:
        self._resources = resources
        self._channel: Channel | None = None
        self._served = 0
        self._is_busy = False

    async def serve(self, link: socket.socket) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGPROF, self._lower_priority)
        reader, writer = await asyncio.open_unix_connection(sock=link, limit=MAX_REQUEST_BYTES)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while self._channel is not None or self._is_reusable():
                    request = _REQUESTS.decode(await reader.readuntil(b"\n"))
                    writer.write(encode(await self._do(request)))
                    await writer.drain()
        finally:
            if self._channel is not None:
                await self._channel.close()
            writer.close()

    def _is_reusable(self) -> bool:
        """Return True if its priority was never lowered and it served few enough sandboxes."""
        return not self._is_busy and self._served < _MAX_SERVED

    async def _do(self, request: MemberRequest) -> Response:
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

    def _open(self, request: Open) -> Response:
        try:
            listener = listen_in(Path(request.directory), SOCKET_NAME, _SOCKET_MODE, _BACKLOG)
        except OSError as error:
            return Failed(code=UNAVAILABLE, message=f"The gateway cannot do this: {error}.")
        signal.setitimer(signal.ITIMER_PROF, _CPU_STEP_S)
        self._served += 1
        self._channel = Channel(listener, self._resources)
        self._channel.open()
        return Opened()

    def _lower_priority(self) -> None:
        """Lower the priority of this process; keep it if a service manager forbids that."""
        self._is_busy = True
        signal.setitimer(signal.ITIMER_PROF, _CPU_STEP_S if _renice() < _LAST_NICE else 0)


def _bind(channel: Channel, request: Bind) -> Response:
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
        # A service manager may forbid it; then its own limit applies.
        with contextlib.suppress(OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _renice() -> int:
    """Lower the priority by one step; return the new nice value."""
    try:
        return os.nice(_NICE_STEP)
    except OSError:
        return _LAST_NICE
