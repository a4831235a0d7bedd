"""The files of an embedded installation, the locks that show their use, and errors of writing."""

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

#: The bytes that SQLite locks (its file format, "Locking"): each process that has a database open
#: in WAL mode holds the shared locks, even when it is idle.
_PENDING_BYTE = 0x40000000
_LOCK_BYTES = 512
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CLOSED = {errno.EACCES, errno.EPERM, errno.EROFS}
#: The suffixes of SQLite's files; `-wal` holds changes that are not in the database file yet.
COMPANIONS = ("", "-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """The folder of an installation, and its files."""

    folder: Path
    database: Path
    artefacts: Path
    #: The embedded Valkey holds this lock while it runs.
    valkey_lock: Path

    def existing_files(self) -> list[Path]:
        """Return the existing files of the database; a WAL alone counts, SQLite would replay it."""
        paths = (Path(f"{self.database}{ending}") for ending in COMPANIONS)
        return [path for path in paths if os.path.lexists(path)]

    def require_outside(self, file: Path) -> None:
        """Raise RequestError if writing the file would destroy a file of this installation.

        The targets of the paths are compared, after hard and symbolic links. SQLite's other files
        need not exist: SQLite would use any file with such a name.
        """
        real = Path(os.path.realpath(file))
        for database in (self.database, Path(os.path.realpath(self.database))):
            for path in (Path(f"{database}{ending}") for ending in COMPANIONS):
                if real == Path(os.path.realpath(path)) or _is_same(real, path):
                    raise RequestError(
                        f"{file} belongs to the database to be saved. Choose another file."
                    )
        for folder in (self.artefacts, self.valkey_lock.parent):
            if any(_is_same(parent, folder) for parent in real.parents):
                raise RequestError(
                    f"{file} is inside {folder}, which SafeURL uses. Choose a file elsewhere."
                )


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them does not exist, or cannot be accessed
        return False


@contextmanager
def as_owner(folder: Path) -> Iterator[None]:
    """Let root act as the owner of the folder, so that the service can use the files made there.

    A chown by root would not be safe: a user who may write there could direct it by links to any
    file of the system. Files that only root may read, our own code included, must be open before.
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
        with _explain_denied(folder, found):
            yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


@contextmanager
def _explain_denied(folder: Path, found: os.stat_result) -> Iterator[None]:
    """Translate a denied access of the folder's owner into a RequestError with advice."""
    try:
        yield
    except PermissionError as exc:
        if exc.errno != errno.EACCES:
            raise
        denied = Path(exc.filename or folder)
        path = denied if os.path.lexists(denied) else denied.parent
        raise RequestError(
            f"{user_name(found.st_uid)}, who owns {folder}, may not use {path}. Run, as root, "
            f"`chown -R {found.st_uid}:{found.st_gid} {folder}`, and try again."
        ) from exc


@contextmanager
def lock_queue(location: Location) -> Iterator[None]:
    """Prevent the embedded queue from starting; raise UnavailableError while it runs."""
    location.valkey_lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(location.valkey_lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with _explain_lock(location):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


@contextmanager
def lock_database(location: Location) -> Iterator[None]:
    """Prevent SQLite from using the database; raise UnavailableError while a process has it open.

    The lock is taken without SQLite, so that this works for a damaged database too. This process
    must not have the database open: closing the file drops all locks of this process on it.
    """
    if not location.database.exists():
        yield
        return
    handle = os.open(location.database, os.O_RDWR)
    try:
        with _explain_lock(location):
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, _LOCK_BYTES, _PENDING_BYTE)
        yield
    finally:
        os.close(handle)


@contextmanager
def _explain_lock(location: Location) -> Iterator[None]:
    try:
        yield
    except (
        BlockingIOError,
        PermissionError,
    ) as exc:  # POSIX allows EAGAIN and EACCES for a held lock
        raise in_use_error(location) from exc


def in_use_error(location: Location) -> UnavailableError:
    """Return the error that names the processes to stop."""
    return UnavailableError(
        f"A running SafeURL uses {location.folder}. Stop it first: worker, API and `safeurl up`, "
        "with Ctrl-C or `systemctl stop 'safeurl-*'`."
    )


@contextmanager
def explain_write_errors(folder: Path) -> Iterator[None]:
    """Translate errors of the operating system while we write in the folder."""
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            raise UnavailableError(
                f"The disk that holds {folder} is full. Nothing is left behind; "
                "free some space, and try again."
            ) from exc
        if exc.errno in _CLOSED:
            raise RequestError(f"{folder} may not be written: {exc.strerror}.") from exc
        raise RequestError(f"{exc.filename or folder}: {exc.strerror}.") from exc


def create_private(path: Path) -> BinaryIO:
    """Create a file that must not exist yet and that only its owner may read."""
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb")


def sync_folder(folder: Path) -> None:
    """Flush the folder, so that created and removed names survive a power failure."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
