"""The HTTP application and the server that runs it."""

import asyncio
import contextlib
import ipaddress
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

import safeurl
from api.errors import install_handlers
from api.guard import LOOPBACK_HOSTS, Guard
from api.native import health, pasted, scans
from api.native.schemas import ErrorDocument
from api.server import Server, limits_of, raise_file_limit
from api.ui import page
from safeurl.bootstrap import make_queue, make_service, make_store
from safeurl.errors import ConfigError, UnavailableError
from safeurl.ports.schema import SchemaStore
from safeurl.service import Service
from safeurl.service_manager import announced
from safeurl.settings import Settings

_log = logging.getLogger("safeurl.api")

#: Seconds between attempts to migrate the schema while the database does not answer.
MIGRATE_EVERY_S: Final = 1.0


def create_app(service: Service, hosts: frozenset[str] | None = LOOPBACK_HOSTS) -> FastAPI:
    """Return the application; `hosts` are the accepted names of this server, None for any."""
    app = FastAPI(
        title="SafeURL",
        version=safeurl.__version__,
        summary="Opens suspicious URLs in disposable sandboxes and explains what it found.",
        # The framework's documentation pages load scripts from elsewhere; the schema stays.
        docs_url=None,
        redoc_url=None,
        responses={
            403: {"model": ErrorDocument, "description": "Another site's page asks."},
            421: {"model": ErrorDocument, "description": "The Host header names another server."},
        },
    )
    app.state.service = service
    app.add_middleware(Guard, hosts=hosts)
    install_handlers(app)
    app.include_router(scans.router)
    app.include_router(pasted.router)
    app.include_router(health.router)
    app.include_router(page.router)
    app.mount("/ui", StaticFiles(directory=page.FOLDER))
    return app


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve the API until SIGTERM or SIGINT; call this in the main thread.

    The API starts without database and queue, and uses them as soon as they answer. `announce` is
    called with the address. Raise ConfigError if the address cannot be opened.
    """
    with contextlib.closing(listen(settings)) as listener:
        serve_on(listener, settings, announce)


def serve_on(listener: socket.socket, settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve on a socket that the parent process has opened, which restarts this process."""
    asyncio.run(_serve(settings, listener, announce))


async def _serve(
    settings: Settings, listener: socket.socket, announce: Callable[[str], None]
) -> None:
    async with _open_parts(settings) as (store, service):
        app = create_app(service, allowed_hosts(settings, listener.getsockname()[0]))
        server = Server(app, limits_of(settings, raise_file_limit()))
        migration = asyncio.create_task(_migrate(store))
        migration.add_done_callback(partial(_stop_on_failure, server))
        announce(f"SafeURL's API listens on {_address(listener)}")
        try:
            with _stopped_by_signals(server):
                async with announced():
                    await server.serve(sockets=[listener])
        finally:
            migration.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await migration


@contextlib.asynccontextmanager
async def _open_parts(settings: Settings) -> AsyncIterator[tuple[SchemaStore, Service]]:
    store = make_store(settings)
    try:
        queue = make_queue(settings)
        try:
            yield store, make_service(settings, store, queue)
        finally:
            await queue.close()
    finally:
        await store.close()


async def _migrate(store: SchemaStore) -> None:
    """Migrate the schema as soon as the database answers."""
    while True:
        try:
            await store.migrate()
        except UnavailableError as error:
            _log.warning("database_unavailable: %s", error)
            await asyncio.sleep(MIGRATE_EVERY_S)
        else:
            return


def _stop_on_failure(server: uvicorn.Server, migration: "asyncio.Task[None]") -> None:
    """End the server if the database cannot be used at all, so that the error is raised."""
    if not migration.cancelled() and migration.exception() is not None:
        server.should_exit = True


@contextlib.contextmanager
def _stopped_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """Let signals end only the server, not the process.

    uvicorn raises a signal again after it has stopped. This handler ignores it, so that the caller
    closes what it has opened and the process exits with 0.
    """

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def listen(settings: Settings) -> socket.socket:
    """Return a socket on the address of the settings; raise ConfigError if it cannot be opened."""
    host, port = settings.api_host, settings.api_port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return socket.create_server(address, family=family)
    except OSError as error:
        # The library adds the address to the system's message, which names it already.
        words = str(error.strerror).partition(" (")[0]
        fault = f"API_HOST, API_PORT: the API cannot listen on {host}, port {port}: {words}."
        raise ConfigError((fault,)) from error


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def allowed_hosts(settings: Settings, address: str) -> frozenset[str] | None:
    """Return the accepted names of a server on this address, None for any.

    A server that is open to other machines does not know its names; the settings may list them.
    """
    named = frozenset(name.lower() for name in settings.api_allowed_hosts)
    if ipaddress.ip_address(address).is_loopback:
        return LOOPBACK_HOSTS | {settings.api_host.lower()} | named
    _log.warning("api_open: %s is not loopback, and whoever reaches it may use it", address)
    return named or None
