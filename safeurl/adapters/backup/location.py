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
from safeurl.permissions import user_name

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

    def require_apart(self, file: Path) -> None:
        """Raise RequestError where writing the file would destroy what is here.

        Compared is what the names lead to, over links of either kind; a companion need not be
        there, since SQLite would take whatever comes by its name for its own.
        """
        real = Path(os.path.realpath(file))
        for database in (self.database, Path(os.path.realpath(self.database))):
            for path in (Path(f"{database}{ending}") for ending in COMPANIONS):
                if real == Path(os.path.realpath(path)) or _is_same(real, path):
                    raise RequestError(
                        f"{file} belongs to the database that is to be saved. Name another file."
                    )
        for folder in (self.artefacts, self.valkey_lock.parent):
            if any(_is_same(parent, folder) for parent in real.parents):
                raise RequestError(
                    f"{file} is inside {folder}, which is SafeURL's own. Name a file elsewhere."
                )


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there, or out of reach
        return False


@contextmanager
def as_owner(folder: Path) -> Iterator[None]:
    """Let root act as the owner of the folder, so that the service can use what is made there.

    Not as root with a chown: whoever may write there could lead that by links to any file of the
    system. What only root may read, our own code included, must be open or loaded before.
    """
    found = folder.stat()
    if os.geteuid() != 0:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    try:
        os.setgroups([])
        os.setegid(found.st_gid)
        os.seteuid(found.st_uid)
        with _kept_out(folder, found):
            yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


@contextmanager
def _kept_out(folder: Path, found: os.stat_result) -> Iterator[None]:
    """Translate what keeps the folder's owner, and so the service, from using what is there."""
    try:
        yield
    except PermissionError as exc:
        if exc.errno != errno.EACCES:
            raise
        told = Path(exc.filename or folder)
        path = told if os.path.lexists(told) else told.parent
        raise RequestError(
            f"{user_name(found.st_uid)}, who owns {folder}, may not use {path}. Give it all to "
            f"them, as root, with `chown -R {found.st_uid}:{found.st_gid} {folder}`, and try again."
        ) from exc


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
