"""Wiring: from settings to the parts of one process. Nothing here runs at import."""

import os
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from safeurl.adapters.files.artefacts import FileArtefacts
from safeurl.adapters.files.privacy import make_private
from safeurl.adapters.files.running import find_running
from safeurl.adapters.redis.connection import RedisServer, Tls
from safeurl.adapters.redis.embedded import check_socket_path
from safeurl.adapters.redis.queue import RQQueue
from safeurl.adapters.sqlite import SQLiteStore
from safeurl.address import AddressPolicy
from safeurl.errors import ConfigError
from safeurl.ports.queue import WakeQueue
from safeurl.ports.store import Store
from safeurl.service import Service
from safeurl.services.health import Disk
from safeurl.settings import Settings


def utc_now() -> datetime:
    """Return the time: the one clock of running processes."""
    return datetime.now(UTC)


def prepare(settings: Settings) -> None:
    """Make the state folder, and raise ConfigError for settings that no worker could run with."""
    folder = settings.state_dir
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        usable = os.access(folder, os.R_OK | os.W_OK | os.X_OK)
    except OSError as error:
        fault = f"SAFEURL_STATE_DIR: {folder} cannot be made: {error.strerror}."
        raise ConfigError((fault,)) from error
    if not usable:
        raise ConfigError((f"SAFEURL_STATE_DIR: {folder} may not be written by this user.",))
    make_private(folder, private_paths(settings))
    if settings.is_redis_embedded:
        check_socket_path(settings.valkey_socket)
    make_store(settings)  # opens nothing, but knows whether the URL and the packages will do


def private_paths(settings: Settings) -> Iterator[Path]:
    """Return what the state folder holds and only its owner needs; some may not be there yet."""
    yield from (Path(f"{settings.database_path}{ending}") for ending in ("", "-wal", "-shm"))
    yield settings.worker_log
    for folder in (settings.artefact_dir, settings.valkey_dir):
        yield folder
        yield from folder.glob("*")


def make_store(settings: Settings) -> Store:
    """Return the database the settings name; call after a fork, and close it."""
    if not settings.turso_connection_url:
        return SQLiteStore(settings.database_path, synchronous=settings.sqlite_synchronous)
    # The client is an extra, so that who uses SQLite need not install it.
    from safeurl.adapters.libsql import LibSQLStore  # noqa: PLC0415 - see the line above

    token = settings.turso_auth_token.get_secret_value() or None
    return LibSQLStore(settings.turso_connection_url, auth_token=token)


def make_policy(settings: Settings) -> AddressPolicy:
    """Return the address policy with the settings' exceptions."""
    return AddressPolicy.parse(
        allow_cidrs=settings.egress_allow_cidrs,
        deny_cidrs=settings.egress_deny_cidrs,
        allow_ports=settings.egress_allow_ports,
        deny_ports=settings.egress_deny_ports,
        dns64=settings.egress_dns64,
    )


def redis_server(settings: Settings) -> RedisServer:
    """Return where the queue lives."""
    place = settings.redis
    tls = Tls(ca=settings.redis_tls_ca, cert=settings.redis_tls_cert, key=settings.redis_tls_key)
    return RedisServer(
        host=place.host,
        port=place.port,
        username=place.username,
        password=place.password,
        database=place.database,
        socket_path=Path(place.path),
        tls=tls if place.is_tls else None,
    )


def make_queue(settings: Settings) -> RQQueue:
    """Return the wake-up queue; call after a fork, and close it."""
    return RQQueue(
        redis_server(settings).connect(),
        job_timeout_s=settings.job_timeout.total_seconds(),
        embedded=settings.is_redis_embedded,
    )


def make_artefacts(settings: Settings) -> FileArtefacts:
    """Return the store of blobs."""
    return FileArtefacts(settings.artefact_dir)


def make_service(settings: Settings, store: Store, queue: WakeQueue) -> Service:
    """Return the use cases over an open database and queue."""
    return Service(
        store,
        queue,
        utc_now,
        make_policy(settings),
        disk=lambda: _database_disk(settings),
        failing=lambda: _failing(settings),
    )


def _failing(settings: Settings) -> tuple[str, ...]:
    """Return the processes over this state folder that fail at each start, as far as is known."""
    try:
        running = find_running(settings.state_dir)
    except (OSError, ValueError):
        return ()  # another user's: the doctor tells
    return running.failing if running else ()


def _database_disk(settings: Settings) -> Disk | None:
    """Return how full the database's disk is; None where the database is a server's."""
    if settings.turso_connection_url:
        return None
    try:
        free_bytes = shutil.disk_usage(settings.state_dir).free
    except OSError:
        return None  # the database says by itself that its folder cannot be used
    return Disk(host=socket.gethostname(), free_bytes=free_bytes)


@asynccontextmanager
async def open_store(
    settings: Settings, *, migrate: bool = True, required: bool = False
) -> AsyncIterator[Store]:
    """Open the database, bring its schema up to date unless told not to, close it at the end.

    One that is `required` has to be there as it should be: StoreUnavailableError where it is not,
    and nothing is made.
    """
    store = make_store(settings)
    try:
        if required:
            await store.require_schema()
        elif migrate:
            await store.migrate()
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def open_service(
    settings: Settings, *, migrate: bool = True, required: bool = False
) -> AsyncIterator[Service]:
    """Open everything a face needs, and close it at the end; the options are `open_store`'s."""
    async with open_store(settings, migrate=migrate, required=required) as store:
        queue = make_queue(settings)
        try:
            yield make_service(settings, store, queue)
        finally:
            await queue.close()
