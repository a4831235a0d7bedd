"""Files of the state folder are their owner's alone, whatever the mode of the folder is."""

import os
import stat
from collections.abc import Iterable, Iterator
from io import TextIOWrapper
from pathlib import Path

from safeurl.adapters.files.sharing import is_shared
from safeurl.errors import ConfigError

#: Everybody but the owner; in a folder that is shared with its group, everybody but these.
_ALL, _STRANGERS = stat.S_IRWXG | stat.S_IRWXO, stat.S_IRWXO
_PRIVATE_FILE = 0o600


def open_private(path: Path) -> TextIOWrapper:
    """Open a file to append text, made if it is not there, which nobody else may read or write.

    Others may be able to put something in its place: it is followed nowhere, waited for by nobody
    (a FIFO) and not written where it is not ours.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, _PRIVATE_FILE)
    except OSError as error:
        raise ConfigError((f"{path} cannot be written: {error.strerror}.",)) from error
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_nlink != 1:
        os.close(handle)
        raise ConfigError((f"{path} is not a file of our own. Move it away, and try again.",))
    os.fchmod(handle, _PRIVATE_FILE)
    return os.fdopen(handle, "a", encoding="utf-8", errors="backslashreplace")


def make_private(folder: Path, paths: Iterable[Path]) -> None:
    """Take away what others may do with these files and folders, as far as they are ours.

    The group of a state folder that is shared with it is none of the others. None is opened:
    closing a database would drop the locks that SQLite has on it.
    """
    others = _others(folder)
    for path in paths:
        mode = _open_mode(path, others)
        if mode is not None:
            path.chmod(mode & ~others)


def open_to_others(folder: Path, paths: Iterable[Path]) -> Iterator[Path]:
    """Return the state folder and those of the paths that others may read, write or enter."""
    others = _others(folder)
    for path in (folder, *paths):
        if _open_mode(path, others) is not None:
            yield path


def _others(folder: Path) -> int:
    return _STRANGERS if is_shared(folder) else _ALL


def _open_mode(path: Path, others: int) -> int | None:
    """Return the mode of a file or folder of ours that is open to others; else None."""
    try:
        info = path.lstat()
    except OSError:
        return None
    is_ours = info.st_uid == os.geteuid() and stat.S_IFMT(info.st_mode) in {
        stat.S_IFREG,
        stat.S_IFDIR,
    }
    mode = stat.S_IMODE(info.st_mode)
    return mode if is_ours and mode & others else None
