"""The process that opens a backup's database: `python -m safeurl.adapters.backup.examination`.

It reads one order, a line of JSON, from standard input and writes lines of JSON: the judgement,
then the SHA-256 of each blob in ascending order, and an empty string at the end. It has the rights
of the folder's owner, writes nothing but SQLite's temporary files, and ends with its parent.
"""

import ctypes
import os
import resource
import signal
import sqlite3
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import Struct

from safeurl.adapters.backup.judgement import Judgement, judge
from safeurl.adapters.backup.limits import Limits
from safeurl.adapters.backup.snapshot import blobs, open_copy
from safeurl.adapters.sql.schema_check import current

#: linux/prctl.h
_PR_SET_PDEATHSIG = 1
#: What our own statements, and SQLite's checks for them, need; everything else is refused.
_ACTIONS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}
_PRAGMAS = {"integrity_check", "foreign_key_check", "user_version", "application_id"}
#: Instructions between two looks at how many there were.
_STRIDE = 10_000
#: SQLite's limits. The longest statement of our schema has 4,000 characters, the widest table 18
#: columns.
_SQLITE_LIMITS = {
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 100,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}


class Order(Struct, frozen=True, kw_only=True):
    """What to open, as whom, and how much it may cost."""

    path: str
    size_bytes: int
    uid: int
    gid: int
    #: The process that gave the order.
    parent: int
    limits: Limits


def main() -> None:
    """Carry out the order; what fails ends the process without an end of its answer."""
    current()  # reads schema.sql, which the owner of the folder need not be able to
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    _confine(order)
    with open_copy(Path(order.path)) as database:
        harden(database, order.limits, order.size_bytes)
        judgement = judge(database)
        _answer(sys.stdout.buffer, judgement)
        if judgement.census is not None:
            for sha256 in blobs(database):
                _answer(sys.stdout.buffer, sha256)
            _answer(sys.stdout.buffer, "")
    sys.stdout.buffer.flush()


def _answer(stream: BinaryIO, document: Judgement | str) -> None:
    stream.write(msgspec.json.encode(document) + b"\n")
    if isinstance(document, Judgement):
        stream.flush()


def _confine(order: Order) -> None:
    """Give up root's rights and take the limits; nobody can raise them again."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(order.gid, order.gid, order.gid)
        os.setresuid(order.uid, order.uid, order.uid)
    # After that, because a change of user takes the signal back.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != order.parent:
        raise SystemExit  # it ended before, so no signal will come
    os.environ["SQLITE_TMPDIR"] = str(Path(order.path).parent)
    limits = order.limits
    seconds = int(limits.seconds(order.size_bytes)) + 1
    for what, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.file_bytes(order.size_bytes)),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        _, hard = resource.getrlimit(what)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (allowed, allowed))


def harden(database: sqlite3.Connection, limits: Limits, size_bytes: int) -> None:
    """Turn off in SQLite what judging a database does not need."""
    for pragma in ("cell_size_check = ON", "mmap_size = 0", "query_only = ON"):
        database.execute(f"PRAGMA {pragma}").fetchall()
    for what, most in _SQLITE_LIMITS.items():
        database.setlimit(what, most)
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, limits.max_value_bytes)
    database.set_authorizer(_authorize)
    database.set_progress_handler(_Counter(limits.steps(size_bytes)), _STRIDE)


def _authorize(
    action: int, name: str | None, _second: str | None, _database: str | None, _by: str | None
) -> int:
    """Allow reading, and the pragmas that are read."""
    is_allowed = action in _ACTIONS or (
        action == sqlite3.SQLITE_PRAGMA and (name or "").lower() in _PRAGMAS
    )
    return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY


class _Counter:
    """Interrupts SQLite once it has run as many instructions as it may."""

    def __init__(self, most: int) -> None:
        self._left = most

    def __call__(self) -> int:
        self._left -= _STRIDE
        return int(self._left < 0)


if __name__ == "__main__":
    main()
