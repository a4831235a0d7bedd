"""Keeps the files of the state folder private to their owner, whatever the folder's mode is."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from safeurl.adapters.files.sharing import is_shared

#: The rights of group and others; in a folder that is shared with its group, those of others.
_GROUP_AND_OTHERS, _OTHERS = stat.S_IRWXG | stat.S_IRWXO, stat.S_IRWXO


def make_private(folder: Path, paths: Iterable[Path]) -> None:
    """Remove the rights of others from these files and folders, if they belong to this user.

    The group of a shared state folder keeps its rights. No file is opened: closing a database
    would drop the locks that SQLite has on it.
    """
    others = _foreign_rights(folder)
    for path in paths:
        mode = _open_mode(path, others)
        if mode is not None:
            path.chmod(mode & ~others)


def open_to_others(folder: Path, paths: Iterable[Path]) -> Iterator[Path]:
    """Return those of the folder and the paths that others may read, write or enter."""
    others = _foreign_rights(folder)
    for path in (folder, *paths):
        if _open_mode(path, others) is not None:
            yield path


def _foreign_rights(folder: Path) -> int:
    return _OTHERS if is_shared(folder) else _GROUP_AND_OTHERS


def _open_mode(path: Path, others: int) -> int | None:
    """Return the mode of a path if it is ours and open to others; else None."""
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
