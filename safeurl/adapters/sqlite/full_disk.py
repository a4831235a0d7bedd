"""A disk without room: how it is recognised, and how the database is read on it all the same."""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from safeurl.adapters.sql.database import Row, Statement

#: SQLite's file beside the database begins with 32 KiB, and the log grows by pages of 4 KiB.
_LEAST_BYTES: Final = 64 * 1024


def is_full(folder: Path) -> bool:
    """Return whether the folder's disk has no room, or no number for one more file."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    no_file = found.f_files > 0 and found.f_favail == 0
    return no_file or found.f_bavail * found.f_frsize < _LEAST_BYTES


def read_alone(path: Path, batch: Sequence[Statement], timeout_s: float) -> list[list[Row]]:
    """Run reading statements while nobody else has the database open, and make no file for it.

    In exclusive mode SQLite keeps in memory what it else shares in a file (sqlite.org/wal.html,
    "Use of WAL Without Shared-Memory"). Where another process has the database open, that file is
    there already, and nobody comes here.
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
