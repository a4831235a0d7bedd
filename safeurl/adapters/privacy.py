"""Files of the state folder are their owner's alone, whatever the mode of the folder is."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from safeurl.adapters.sharing import is_shared

#: Everybody but the owner; in a folder that is shared with its group, everybody but these.
_ALL, _STRANGERS = stat.S_IRWXG | stat.S_IRWXO, stat.S_IRWXO
_PRIVATE_FILE = 0o600


def private_file(path: Path) -> None:
    """Make the file if it is not there, and let nobody but its owner read or write it."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
    try:
        os.fchmod(handle, _PRIVATE_FILE)
    finally:
        os.close(handle)


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
