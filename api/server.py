"""The HTTP server: its limits, its file descriptors and its listening socket."""

import asyncio
import errno
import logging
import resource
import socket
from functools import partial
from typing import Any, Final, cast

import uvicorn
from uvicorn.config import HTTPProtocolType

from api.clients import Clients, Limits
from api.connection import HTTP_LOG, Connection
from api.guard import MAX_HEAD_BYTES
from safeurl.settings import Settings

_log = logging.getLogger("safeurl.api")

#: The time for requests to end after SIGTERM, in seconds.
GRACE_S: Final = 10
#: Connections that wait in the kernel to be accepted.
_BACKLOG: Final = 1024
#: Connections that are accepted before those over a cap are closed. asyncio uses its backlog for
#: this number, so the kernel's backlog is set again afterwards, to the number above.
_ACCEPTED_AT_ONCE: Final = 64
#: Bytes of responses that the kernel buffers for one client; connections inherit this. By default
#: the kernel buffers 4 MiB for each client that does not read.
_SEND_BUFFER: Final = 128 * 1024
#: File descriptors for other purposes than connections: database, queue, files of the page, and two
#: for each connection that is accepted at once.
_OTHER_FILES: Final = 128 + 2 * _ACCEPTED_AT_ONCE
#: The longest pause between two requests of a connection; clients can easily open a new one.
_IDLE_S: Final = 5.0
#: The number of clients that are served even with very few file descriptors.
_MIN_TOTAL: Final = 16
#: A lack of file descriptors is logged at most once in this time.
_LOG_EVERY_S: Final = 60.0
_LACKS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def limits_of(settings: Settings, files: int) -> Limits:
    """Return the limits of the settings, reduced if there are too few file descriptors."""
    total = max(_MIN_TOTAL, min(settings.api_max_connections, files - _OTHER_FILES))
    if total < settings.api_max_connections:
        _log.warning(
            "api_files_limited: only %d connections are taken, because this process may open %d "
            "files (LimitNOFILE=, ulimit -n)",
            total,
            files,
        )
    timeout_s = float(settings.api_client_timeout_seconds)
    return Limits(
        per_client=settings.api_max_connections_per_client,
        total=total,
        head_s=timeout_s,
        body_s=3 * timeout_s,
        body_stall_s=timeout_s,
        answer_s=6 * timeout_s,
        answer_stall_s=timeout_s,
        idle_s=min(_IDLE_S, timeout_s),
    )


def raise_file_limit() -> int:
    """Raise the limit of open files of this process to its maximum, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:  # for example a system call filter of a systemd unit
        _log.info("api_files_not_raised: %s", error)
        return soft
    return hard


class Server(uvicorn.Server):
    """A uvicorn server with limits for its clients."""

    def __init__(self, app: Any, limits: Limits) -> None:  # an ASGI application, by uvicorn's types
        """Create the server of an application; `serve` runs it."""
        super().__init__(_config(app, Clients(limits)))
        HTTP_LOG.setLevel(logging.ERROR)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections."""
        asyncio.get_running_loop().set_exception_handler(_Failures())
        await super().startup(sockets)
        for listener in sockets or ():
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            listener.listen(_BACKLOG)


def _config(app: Any, clients: "Clients[Connection]") -> uvicorn.Config:
    """Return uvicorn's options; the command sets up logging, and headers of proxies are ignored."""
    return uvicorn.Config(
        app,
        # uvicorn calls the partial like the class.
        http=cast(HTTPProtocolType, partial(Connection, clients=clients)),
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        backlog=_ACCEPTED_AT_ONCE,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_S,
    )


class _Failures:
    """Handles errors of the event loop; it logs a lack of file descriptors only rarely.

    asyncio tries again after a second, but each time it fails once for each connection that it may
    accept at once.
    """

    def __init__(self) -> None:
        self._quiet_until = 0.0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not (isinstance(error, OSError) and error.errno in _LACKS and "socket" in context):
            loop.default_exception_handler(context)
        elif loop.time() >= self._quiet_until:
            self._quiet_until = loop.time() + _LOG_EVERY_S
            _log.error("api_cannot_accept: %s", error)
