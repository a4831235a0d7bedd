"""A full disk: how it is recognised, and how the database on it can still be read."""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from safeurl.adapters.sql.database import Row, Statement

#: SQLite's shared memory file begins with 32 KiB, and the WAL grows by pages of 4 KiB.
_LEAST_BYTES: Final = 64 * 1024


def is_full(folder: Path) -> bool:
    """Return whether the folder's disk has no free space or no free inode."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    no_file = found.f_files > 0 and found.f_favail == 0
    return no_file or found.f_bavail * found.f_frsize < _LEAST_BYTES


def read_alone(path: Path, batch: Sequence[Statement], timeout_s: float) -> list[list[Row]]:
    """Run reading statements without creating a file; no other process has the database open.

    In exclusive mode SQLite keeps in memory what it otherwise shares in a file
    (sqlite.org/wal.html, "Use of WAL Without Shared-Memory"). If another process has the database
    open, that file exists already, and this function is not needed.
    """
    uri = f"file:{quote(os.fsencode(path))}?mode=rw"
    with closing(
        sqlite3.connect(uri, uri=True, timeout=timeout_s, isolation_level=None)
    ) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA query_only=ON")
        return [
            [dict(row) for row in connection.execute(each.sql, dict(each.args))] for each in batch
        ]
