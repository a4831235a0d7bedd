"""The modes of files in the state folder: for its owner alone, or also for its group.

Worker and API may run as users of their own that share a group. They share what they must, the
database and the embedded queue's socket, where whoever installed them made the folder so: its mode
is 3770, by which it hands its group on to what is made in it, and by which nobody but its owner
removes or replaces what another user made. No folder is made so here.
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

    Only its owner can, and only where the folder is shared: a mode that somebody has narrowed
    stays as it is elsewhere. A symlink is left alone, since all of the group can make one, and it
    may lead to a file that is the owner's only.
    """
    if not is_shared(file.parent):
        return
    try:
        # By O_PATH nothing is opened: closing it drops none of the locks that SQLite has on it.
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
