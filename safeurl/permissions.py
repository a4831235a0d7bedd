"""File permissions: opens private files, and explains why a user cannot access a file."""

import os
import pwd
import stat
from io import TextIOWrapper
from pathlib import Path

from safeurl.errors import ConfigError

#: The suffixes of the files that SQLite opens; each file may belong to another user.
_ENDINGS = ("", "-wal", "-shm")
_PRIVATE_FILE = 0o600


def user_name(uid: int) -> str:
    """Return the user's name, or its number if the system knows no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def open_private(path: Path) -> TextIOWrapper:
    """Open a file to append text; create it if needed; only its owner may read or write it.

    Other users may be able to replace the file: no link is followed, a FIFO does not block, and a
    file of another user is not written.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, _PRIVATE_FILE)
    except OSError as error:
        raise ConfigError((f"{path} cannot be written: {error.strerror}.",)) from error
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_nlink != 1:
        os.close(handle)
        raise ConfigError(
            (f"{path} is not a file of this user alone. Move it away, and try again.",)
        )
    os.fchmod(handle, _PRIVATE_FILE)
    return os.fdopen(handle, "a", encoding="utf-8", errors="backslashreplace")


def explain(database: Path) -> str | None:
    """Return why this user cannot open a database, and the remedy; None if the cause is unknown.

    No file is opened: closing it would drop the locks that SQLite has on it.
    """
    try:
        return _explain(database)
    except OSError:
        return None  # the files changed meanwhile


def _explain(database: Path) -> str | None:
    try:
        mode = database.stat().st_mode
    except FileNotFoundError:
        return _explain_missing(database)
    except PermissionError:  # a folder denies the access, not the file
        folders = reversed(database.parents)
        return next(
            (_explain_owner(each) for each in folders if not os.access(each, os.X_OK)), None
        )
    except OSError as exc:
        return f"{database}: {exc.strerror}. SAFEURL_STATE_DIR names its folder."
    if not stat.S_ISREG(mode):
        return f"{database} is not a file. Move it away, and try again."
    if _is_read_only(database):
        return _explain_read_only(database)
    files = (Path(f"{database}{ending}") for ending in _ENDINGS)
    denied = [path for path in files if path.exists() and not os.access(path, os.R_OK | os.W_OK)]
    return _explain_owner(denied[0]) if denied else _explain_folder(database.parent)


def _explain_missing(database: Path) -> str | None:
    """Return why the database is missing although SafeURL created it or tried to create it."""
    folder = next(each for each in database.parents if each.exists())
    if _is_read_only(folder):
        return _explain_read_only(database)
    if explanation := _explain_folder(folder):
        return explanation
    if folder != database.parent:
        return f"the folder {database.parent} does not exist. Is its disk mounted?"
    return f"{database} was removed. Put it back, or restart SafeURL."


def _explain_folder(folder: Path) -> str | None:
    return None if os.access(folder, os.R_OK | os.W_OK | os.X_OK) else _explain_owner(folder)


def _is_read_only(path: Path) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _explain_read_only(path: Path) -> str:
    return f"{path} is on a disk that is mounted read-only. Make it writable, and try again."


def _explain_owner(path: Path) -> str:
    """Return the owner of the file or folder, the present user, and the remedy."""
    found, our_uid = path.stat(), os.geteuid()
    owner, our_name = user_name(found.st_uid), user_name(our_uid)
    if found.st_uid == our_uid:
        mode, rights = f"{stat.S_IMODE(found.st_mode):04o}", "rwx" if path.is_dir() else "rw"
        return (
            f"{path} has the mode {mode}, which denies access to {our_name}, its owner. "
            f"Run `chmod u+{rights} {path}`."
        )
    finding = f"{path} belongs to {owner}, and this is {our_name}."
    if path.parent.stat().st_uid == our_uid:
        return f"{finding} As root, give it back with `chown {our_uid} {path}`."
    return f"{finding} Run this as {owner}, or name another folder in SAFEURL_STATE_DIR."
