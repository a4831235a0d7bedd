"""The process that opens a backup's database (`-m safeurl.adapters.backup.validation_process`).

It reads one request, a line of JSON, from standard input and writes lines of JSON: the result,
then the SHA-256 of each blob in ascending order, and an empty string at the end. It has the rights
of the folder's owner, writes only SQLite's temporary files, and ends with its parent.
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

from safeurl.adapters.backup.limits import Limits
from safeurl.adapters.backup.snapshot import blobs, open_copy
from safeurl.adapters.backup.validation import ValidationResult, validate
from safeurl.adapters.sql.schema.check import current

#: linux/prctl.h
_PR_SET_PDEATHSIG = 1
#: The actions that our statements and SQLite's checks need; everything else is refused.
_ACTIONS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION}
_PRAGMAS = {"integrity_check", "foreign_key_check", "user_version", "application_id"}
#: SQLite counts its instructions in steps of this size.
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


class ValidationRequest(Struct, frozen=True, kw_only=True):
    """The database to open, the user to become, and the limits."""

    path: str
    size_bytes: int
    uid: int
    gid: int
    #: The process that sent the request.
    parent: int
    limits: Limits


def main() -> None:
    """Handle the request; after a failure the process ends without the end of its response."""
    current()  # reads schema.sql, which the owner of the folder may not be able to read
    request = msgspec.json.decode(sys.stdin.buffer.readline(), type=ValidationRequest)
    _drop_rights(request)
    with open_copy(Path(request.path)) as database:
        harden(database, request.limits, request.size_bytes)
        result = validate(database)
        _respond(sys.stdout.buffer, result)
        if result.inventory is not None:
            for sha256 in blobs(database):
                _respond(sys.stdout.buffer, sha256)
            _respond(sys.stdout.buffer, "")
    sys.stdout.buffer.flush()


def _respond(stream: BinaryIO, document: ValidationResult | str) -> None:
    stream.write(msgspec.json.encode(document) + b"\n")
    if isinstance(document, ValidationResult):
        stream.flush()


def _drop_rights(request: ValidationRequest) -> None:
    """Drop root's rights and set the limits; neither can be undone."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(request.gid, request.gid, request.gid)
        os.setresuid(request.uid, request.uid, request.uid)
    # After the change of user, which would reset the signal.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != request.parent:
        raise SystemExit  # the parent ended before, so no signal will come
    os.environ["SQLITE_TMPDIR"] = str(Path(request.path).parent)
    limits = request.limits
    seconds = int(limits.seconds(request.size_bytes)) + 1
    for what, most in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.file_bytes(request.size_bytes)),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        _, hard = resource.getrlimit(what)
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (allowed, allowed))


def harden(database: sqlite3.Connection, limits: Limits, size_bytes: int) -> None:
    """Turn off the features of SQLite that the validation does not need."""
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
    """Allow reading, and the pragmas that the validation reads."""
    is_allowed = action in _ACTIONS or (
        action == sqlite3.SQLITE_PRAGMA and (name or "").lower() in _PRAGMAS
    )
    return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY


class _Counter:
    """Interrupts SQLite when it has run its maximum of instructions."""

    def __init__(self, most: int) -> None:
        self._left = most

    def __call__(self) -> int:
        self._left -= _STRIDE
        return int(self._left < 0)


if __name__ == "__main__":
    main()
