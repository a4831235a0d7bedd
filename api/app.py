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

#: Seconds between attempts to bring the schema up to date while the database is down.
MIGRATE_EVERY_S: Final = 1.0


def create_app(service: Service, hosts: frozenset[str] | None = LOOPBACK_HOSTS) -> FastAPI:
    """Wire the application; `hosts` are the names it answers to, None for any."""
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
    """Serve the API until SIGTERM or SIGINT; to be called from the main thread.

    Comes up without database and queue, and uses them once they answer. `announce` is told the
    address. Raises ConfigError when that address cannot be listened on.
    """
    with contextlib.closing(listen(settings)) as listener:
        serve_on(listener, settings, announce)


def serve_on(listener: socket.socket, settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve on a socket that was opened before, by a parent that restarts this process."""
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
    """Bring the schema up to date as soon as the database answers."""
    while True:
        try:
            await store.migrate()
        except UnavailableError as error:
            _log.warning("database_unavailable: %s", error)
            await asyncio.sleep(MIGRATE_EVERY_S)
        else:
            return


def _stop_on_failure(server: uvicorn.Server, migration: "asyncio.Task[None]") -> None:
    """End the server when the database can never be used, so that the reason is raised."""
    if not migration.cancelled() and migration.exception() is not None:
        server.should_exit = True


@contextlib.contextmanager
def _stopped_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """Let signals end the server and nothing more.

    uvicorn raises a signal again once it has stopped; this handler takes it, so that what the
    caller has opened is closed and the process exits with 0.
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
    """Open the address the settings name; raise ConfigError when that cannot be done."""
    host, port = settings.api_host, settings.api_port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return socket.create_server(address, family=family)
    except OSError as error:
        # The library adds the address to the system's words; the setting names it already.
        words = str(error.strerror).partition(" (")[0]
        fault = f"API_HOST, API_PORT: the API cannot listen on {host}, port {port}: {words}."
        raise ConfigError((fault,)) from error


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def allowed_hosts(settings: Settings, address: str) -> frozenset[str] | None:
    """Return the names that a server on this address answers to, None for any.

    Open to other machines it cannot know its names, unless the settings list them.
    """
    named = frozenset(name.lower() for name in settings.api_allowed_hosts)
    if ipaddress.ip_address(address).is_loopback:
        return LOOPBACK_HOSTS | {settings.api_host.lower()} | named
    _log.warning("api_open: %s is not loopback, and whoever reaches it may use it", address)
    return named or None
