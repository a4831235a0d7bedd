"""Opens the adapters that the settings name; the only module that does. No code runs at import."""

import os
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from safeurl import __version__
from safeurl.adapters.files.artefacts import FileArtefacts
from safeurl.adapters.files.privacy import make_private, open_to_others
from safeurl.adapters.files.running import announced, find_running
from safeurl.adapters.redis.connection import RedisServer, Tls
from safeurl.adapters.redis.embedded import check_socket_path
from safeurl.adapters.redis.queue import RQQueue
from safeurl.adapters.sql import models
from safeurl.adapters.sqlite import SQLiteStore
from safeurl.adapters.sqlite import database as sqlite_database
from safeurl.address import AddressPolicy
from safeurl.errors import ConfigError
from safeurl.model.records.backup import Progress
from safeurl.model.records.running import Running, Update
from safeurl.ports.queue import WakeQueue
from safeurl.ports.store import Store
from safeurl.service import Service
from safeurl.services.health import Disk, LocalSystem
from safeurl.settings import Settings

if TYPE_CHECKING:
    from safeurl.adapters.backup import BackupTaker, Location, Restorer


def utc_now() -> datetime:
    """Return the present time; the running processes use no other clock."""
    return datetime.now(UTC)


def prepare(settings: Settings) -> None:
    """Create the state folder, and raise ConfigError if no worker could run with the settings."""
    folder = settings.state_dir
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        usable = os.access(folder, os.R_OK | os.W_OK | os.X_OK)
    except OSError as error:
        fault = f"SAFEURL_STATE_DIR: {folder} cannot be created: {error.strerror}."
        raise ConfigError((fault,)) from error
    if not usable:
        raise ConfigError((f"SAFEURL_STATE_DIR: {folder} may not be written by this user.",))
    make_private(folder, private_paths(settings))
    if settings.is_redis_embedded:
        check_socket_path(settings.valkey_socket)
    make_store(settings)  # opens no database; it checks the URL and the packages


def private_paths(settings: Settings) -> Iterator[Path]:
    """Return the files of the state folder that only its owner needs; some may not exist yet."""
    yield from (Path(f"{settings.database_path}{ending}") for ending in ("", "-wal", "-shm"))
    yield settings.worker_log
    for folder in (settings.artefact_dir, settings.valkey_dir):
        yield folder
        yield from folder.glob("*")


def exposed_paths(settings: Settings) -> list[Path]:
    """Return the state folder and those of its files to which other users have access."""
    return list(open_to_others(settings.state_dir, private_paths(settings)))


def make_store(settings: Settings) -> Store:
    """Return the database that the settings name; call this after a fork, and close it."""
    if not settings.turso_connection_url:
        return SQLiteStore(settings.database_path, synchronous=settings.sqlite_synchronous)
    # The client is an optional package: SQLite users need not install it.
    from safeurl.adapters.libsql import LibSQLStore  # noqa: PLC0415 - an optional package

    token = settings.turso_auth_token.get_secret_value() or None
    return LibSQLStore(settings.turso_connection_url, auth_token=token)


def preload_store(settings: Settings) -> None:
    """Load what every process needs for its first statement, so that later forks share it."""
    models.preload()
    if not settings.turso_connection_url:
        sqlite_database.preload()


def make_policy(settings: Settings) -> AddressPolicy:
    """Return the address policy with the settings' exceptions."""
    return AddressPolicy.parse(settings.policy_overrides)


def redis_server(settings: Settings) -> RedisServer:
    """Return the address of the queue's server."""
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
    """Return the queue of wake-ups; call this after a fork, and close it."""
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
        system=lambda: _local_system(settings),
    )


def running_system(settings: Settings) -> Running | None:
    """Return the system that uses the state folder; None if none does or none is recorded.

    Raise OSError if this user may not read the record, and ValueError if it is invalid.
    """
    return find_running(settings.state_dir)


def record_running(settings: Settings, running: Running) -> AbstractContextManager[Update]:
    """Record in the state folder which system uses it, until the context ends."""
    return announced(settings.state_dir, running)


def make_backup_taker(settings: Settings, progress: Progress) -> "BackupTaker":
    """Return the writer of backups of an embedded installation."""
    from safeurl.adapters.backup import BackupTaker  # noqa: PLC0415 - other commands start sooner

    return BackupTaker(_location(settings), at=utc_now(), version=__version__, progress=progress)


def make_restorer(settings: Settings, progress: Progress) -> "Restorer":
    """Return the reader that restores a backup to an embedded installation."""
    from safeurl.adapters.backup import Restorer  # noqa: PLC0415 - other commands start sooner

    return Restorer(_location(settings), at=utc_now(), progress=progress)


def _location(settings: Settings) -> "Location":
    from safeurl.adapters.backup import Location  # noqa: PLC0415 - other commands start sooner

    return Location(
        folder=settings.state_dir,
        database=settings.database_path,
        artefacts=settings.artefact_dir,
        valkey_lock=settings.valkey_dir / "lock",
    )


def _local_system(settings: Settings) -> LocalSystem:
    """Return what the system that uses this state folder records about itself, if known."""
    try:
        running = running_system(settings)
    except (OSError, ValueError):
        return LocalSystem()  # the record of another user; the doctor reports it
    if running is None:
        return LocalSystem()
    began = datetime.fromtimestamp(running.started_s, UTC) if running.started_s else None
    return LocalSystem(started_at=began, failing=running.failing)


def _database_disk(settings: Settings) -> Disk | None:
    """Return the free space of the database's disk; None if a server has the database."""
    if settings.turso_connection_url:
        return None
    try:
        free_bytes = shutil.disk_usage(settings.state_dir).free
    except OSError:
        return None  # opening the database reports the unusable folder
    return Disk(host=socket.gethostname(), free_bytes=free_bytes)


@asynccontextmanager
async def open_store(
    settings: Settings, *, migrate: bool = True, required: bool = False
) -> AsyncIterator[Store]:
    """Open the database, migrate its schema if `migrate` is true, and close it at the end.

    If `required` is true, the database must exist with the present schema: else raise
    StoreUnavailableError, and create nothing.
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
    """Open the service for the API or a command, and close it; the options are `open_store`'s."""
    async with open_store(settings, migrate=migrate, required=required) as store:
        queue = make_queue(settings)
        try:
            yield make_service(settings, store, queue)
        finally:
            await queue.close()
