"""What keeps a user from a file, in words for a person."""

import os
import pwd
import stat
from pathlib import Path

#: What SQLite opens beside a database, each of which may be another user's.
_ENDINGS = ("", "-wal", "-shm")


def user_name(uid: int) -> str:
    """Return the user's name, or its number where the system knows no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def obstacle(database: Path) -> str | None:
    """Return what keeps this user from opening a database and what helps; None if nobody can tell.

    Nothing is opened: closing the file would drop the locks that SQLite has on it.
    """
    try:
        return _obstacle(database)
    except OSError:
        return None  # what is looked at changes meanwhile


def _obstacle(database: Path) -> str | None:
    try:
        mode = database.stat().st_mode
    except FileNotFoundError:
        return _no_room(database)
    except PermissionError:  # the fault of a folder, not of the file
        way = reversed(database.parents)
        return next((_whose(each) for each in way if not os.access(each, os.X_OK)), None)
    except OSError as exc:
        return f"{database}: {exc.strerror}. SAFEURL_STATE_DIR names its folder."
    if not stat.S_ISREG(mode):
        return f"{database} is no file. Move it away, and try again."
    if _is_read_only(database):
        return _read_only(database)
    files = (Path(f"{database}{ending}") for ending in _ENDINGS)
    shut = [path for path in files if path.exists() and not os.access(path, os.R_OK | os.W_OK)]
    return _whose(shut[0]) if shut else _shut_folder(database.parent)


def _no_room(database: Path) -> str | None:
    """Return why there is no file where one was made a moment ago, or was to be made."""
    folder = next(each for each in database.parents if each.exists())
    if _is_read_only(folder):
        return _read_only(database)
    if shut := _shut_folder(folder):
        return shut
    if folder != database.parent:
        return f"the folder {database.parent} is not there. Is its disk mounted?"
    return f"{database} is not there any more. Put it back, or start SafeURL anew."


def _shut_folder(folder: Path) -> str | None:
    return None if os.access(folder, os.R_OK | os.W_OK | os.X_OK) else _whose(folder)


def _is_read_only(path: Path) -> bool:
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _read_only(path: Path) -> str:
    return f"{path} is on a disk that is mounted read-only. Make it writable, and try again."


def _whose(path: Path) -> str:
    """Return whose the file or folder is, who we are, and which of the two is to give way."""
    found, us = path.stat(), os.geteuid()
    owner, we = user_name(found.st_uid), user_name(us)
    if found.st_uid == us:
        mode, rights = f"{stat.S_IMODE(found.st_mode):04o}", "rwx" if path.is_dir() else "rw"
        return (
            f"{path} has the mode {mode}, which keeps out {we}, its owner. "
            f"`chmod u+{rights} {path}` helps."
        )
    theirs = f"{path} belongs to {owner}, and this is {we}."
    if path.parent.stat().st_uid == us:
        return f"{theirs} As root, give it back with `chown {us} {path}`."
    return f"{theirs} Run this as {owner}, or name another folder in SAFEURL_STATE_DIR."
