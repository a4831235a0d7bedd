"""How the HTTP server runs: its limits, its file descriptors, its listening socket."""

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

#: Seconds that requests get to end after SIGTERM.
GRACE_S: Final = 10
#: Connections that wait in the kernel to be accepted.
_BACKLOG: Final = 1024
#: So many are accepted before those that are over a cap are closed. asyncio takes this number from
#: the backlog that it is given, so the kernel's is set again, to the one above.
_ACCEPTED_AT_ONCE: Final = 64
#: Bytes of answers that the kernel keeps for one client, which connections inherit; by itself it
#: keeps 4 MiB for each client that does not read.
_SEND_BUFFER: Final = 128 * 1024
#: File descriptors for all but connections: database, queue, files of the page, and twice those
#: connections that are accepted at once.
_OTHER_FILES: Final = 128 + 2 * _ACCEPTED_AT_ONCE
#: Between two requests of a connection: browsers and clients open a new one as easily.
_IDLE_S: Final = 5.0
#: However few file descriptors there are, this many clients are served.
_MIN_TOTAL: Final = 16
#: A lack of file descriptors is logged once in so many seconds.
_LOG_EVERY_S: Final = 60.0
_LACKS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def limits_of(settings: Settings, files: int) -> Limits:
    """Return the limits by the settings, as far as so many file descriptors allow."""
    total = max(_MIN_TOTAL, min(settings.api_max_connections, files - _OTHER_FILES))
    if total < settings.api_max_connections:
        _log.warning(
            "api_files_limited: only %d connections are taken, because this process may open %d "
            "files (LimitNOFILE=, ulimit -n)",
            total,
            files,
        )
    patience_s = float(settings.api_client_timeout_seconds)
    return Limits(
        per_client=settings.api_max_connections_per_client,
        total=total,
        head_s=patience_s,
        body_s=3 * patience_s,
        body_stall_s=patience_s,
        answer_s=6 * patience_s,
        answer_stall_s=patience_s,
        idle_s=min(_IDLE_S, patience_s),
    )


def raise_file_limit() -> int:
    """Let this process open as many files as it is allowed to, and return how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:  # forbidden by a unit's system call filter, say
        _log.info("api_files_not_raised: %s", error)
        return soft
    return hard


class Server(uvicorn.Server):
    """A uvicorn that has limits for its clients."""

    def __init__(self, app: Any, limits: Limits) -> None:  # an ASGI application, by uvicorn's types
        """Make the server of an application; `serve` runs it."""
        super().__init__(_config(app, Clients(limits)))
        HTTP_LOG.setLevel(logging.ERROR)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        asyncio.get_running_loop().set_exception_handler(_Failures())
        await super().startup(sockets)
        for listener in sockets or ():
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            listener.listen(_BACKLOG)


def _config(app: Any, clients: "Clients[Connection]") -> uvicorn.Config:
    """Return how the server runs; logging is the command's, and no proxy is believed."""
    return uvicorn.Config(
        app,
        # uvicorn calls it as it would call the class.
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
    """Handler of what fails in the event loop: a lack of file descriptors is logged rarely.

    asyncio then tries again after a second, but fails as often in a row as it may accept at once.
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
