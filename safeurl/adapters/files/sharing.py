"""The modes of files in the state folder: for its owner alone, or also for its group.

Worker and API may run as two users with a common group. They share the database and the socket of
the embedded queue if the installation gave the folder the mode 3770. New files in such a folder get
its group, and a user cannot remove or replace files of another user. This module never gives a
folder this mode.
"""

import os
import stat
from pathlib import Path
from typing import Final

#: Set-group-ID, sticky, all rights for owner and group, none for others.
_SHARED: Final = 0o3770
_ALONE_FILE, _SHARED_FILE = 0o600, 0o660


def is_shared(folder: Path) -> bool:
    """Return whether the folder is shared with its group; False if it does not exist."""
    try:
        return stat.S_IMODE(folder.stat().st_mode) == _SHARED
    except OSError:
        return False


def file_mode(folder: Path) -> int:
    """Return the mode of a file in the folder that worker and API both use."""
    return _SHARED_FILE if is_shared(folder) else _ALONE_FILE


def share_file(file: Path) -> None:
    """Give a private file the mode that its folder requires now.

    Only the file's owner can do this. In a folder that is not shared, the mode stays unchanged,
    because somebody may have restricted it. A symlink is ignored: every user of the group can
    create one, and it may lead to a private file of the owner.
    """
    if not is_shared(file.parent):
        return
    try:
        # O_PATH does not open the file, so that closing it does not drop SQLite's locks on it.
        handle = os.open(file, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        found = os.fstat(handle)
        is_ours = found.st_uid == os.geteuid() and stat.S_ISREG(found.st_mode)
        if is_ours and found.st_nlink == 1 and stat.S_IMODE(found.st_mode) != _SHARED_FILE:
            Path(f"/proc/self/fd/{handle}").chmod(_SHARED_FILE)
    finally:
        os.close(handle)
