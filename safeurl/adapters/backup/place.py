"""Where an embedded installation keeps its data, and whether somebody is using it."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from safeurl.errors import RequestError, UnavailableError

#: The bytes that SQLite locks (its file format, "Locking"): whoever has a database open in WAL
#: mode holds the shared ones, idle or not.
_PENDING_BYTE = 0x40000000
_LOCK_BYTES = 512
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}
#: SQLite's own companions of a database; `-wal` holds what is not in the file yet.
COMPANIONS = ("", "-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The folder of an installation and what is in it."""

    folder: Path
    database: Path
    artefacts: Path
    #: Held by the embedded Valkey for as long as it lives.
    valkey_lock: Path

    def found(self) -> list[Path]:
        """Return what is there of a database; a WAL without one counts, it would be replayed."""
        paths = (Path(f"{self.database}{ending}") for ending in COMPANIONS)
        return [path for path in paths if os.path.lexists(path)]


@contextmanager
def kept_idle(place: Place) -> Iterator[None]:
    """Keep the embedded queue of this folder from starting; UnavailableError while it runs."""
    place.valkey_lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(place.valkey_lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with _free(place):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


@contextmanager
def kept_closed(place: Place) -> Iterator[None]:
    """Keep SQLite from using the database; UnavailableError while some process has it open.

    The file itself is asked and not SQLite, so that a damaged database can be asked about too.
    This process must not have it open: closing the file drops every lock that it has there.
    """
    if not place.database.exists():
        yield
        return
    handle = os.open(place.database, os.O_RDWR)
    try:
        with _free(place):
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, _LOCK_BYTES, _PENDING_BYTE)
        yield
    finally:
        os.close(handle)


@contextmanager
def _free(place: Place) -> Iterator[None]:
    try:
        yield
    except (BlockingIOError, PermissionError) as exc:  # EAGAIN or EACCES, as POSIX lets locks fail
        raise in_use(place) from exc


def in_use(place: Place) -> UnavailableError:
    """Return the error that says who must be stopped."""
    return UnavailableError(
        f"A running SafeURL uses {place.folder}. Stop it first: worker, API and `safeurl up`, "
        "with Ctrl-C or `systemctl stop 'safeurl-*'`."
    )


@contextmanager
def written(folder: Path) -> Iterator[None]:
    """Translate what the operating system refuses while we write in the folder."""
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            raise UnavailableError(
                f"The disk that holds {folder} is full. Nothing is left behind; "
                "make room, and try again."
            ) from exc
        if exc.errno in _CLOSED:
            raise RequestError(f"{folder} may not be written: {exc.strerror}.") from exc
        raise RequestError(f"{exc.filename or folder}: {exc.strerror}.") from exc


def create(path: Path) -> BinaryIO:
    """Make a file that must not be there yet and that only its owner may read."""
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")


def sync_folder(folder: Path) -> None:
    """Make names that were given or taken in the folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
