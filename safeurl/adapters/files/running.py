"""The record of the system that uses a state folder: a file next to the database.

The running process holds a lock on the record. Without the lock the record is of a killed process
and is ignored. It contains no secrets.
"""

import errno
import fcntl
import json
import logging
import os
import stat
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from safeurl.model.records.running import Running, Update

_log = logging.getLogger("safeurl.running")

_NAME: Final = "running.json"
_PRIVATE_FILE: Final = 0o600
#: The locked bytes: the first while the process lives, the second when the record is complete.
_ALIVE, _COMPLETE = 0, 1
#: `struct flock` of Linux on 64 bits: type, whence, start, length, process.
_FLOCK: Final = "hhqqi"
#: A record has some thousand bytes; a larger file is not ours.
_MAX_BYTES: Final = 256 * 1024
_READS: Final = 3
_READ_INTERVAL_S: Final = 0.02


@contextmanager
def announced(folder: Path, running: Running) -> Iterator[Update]:
    """Keep the record while the block runs; a failure to write it is only logged.

    Yield a function that replaces the record.
    """
    path = folder / _NAME
    try:
        handle = _write(path, running)
    except OSError as error:
        _log.warning("running.not_recorded path=%s error=%s", path, error)
        yield lambda _: None
        return
    try:
        yield lambda changed: _rewrite(handle, changed)
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def find_running(folder: Path) -> Running | None:
    """Return the system that uses the state folder now; None if none does or none is recorded.

    Raise OSError if this user may not read the record, and ValueError if it is invalid.
    """
    try:
        handle = os.open(folder / _NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        info = os.fstat(handle)
        # Other users may write in a shared state folder; their files are not trusted.
        is_trusted = info.st_uid in {0, os.geteuid(), folder.stat().st_uid}
        if not (is_trusted and stat.S_ISREG(info.st_mode) and _is_locked(handle, _COMPLETE)):
            return None
        return _read(handle)
    finally:
        os.close(handle)


def _write(path: Path, running: Running) -> int:
    """Return the open record; its lock ends with this process, and forks do not inherit it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    handle = os.open(path, flags, _PRIVATE_FILE)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _ALIVE)
        os.fchmod(handle, _PRIVATE_FILE)  # fails for a file of another user
        _put(handle, running)
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _COMPLETE)
    except OSError:
        os.close(handle)
        raise
    return handle


def _rewrite(handle: int, running: Running) -> None:
    try:
        _put(handle, running)
    except OSError as error:
        _log.warning("running.not_recorded error=%s", error)


def _put(handle: int, running: Running) -> None:
    text = json.dumps(asdict(running)).encode()
    if os.pwrite(handle, text, 0) != len(text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.ftruncate(handle, len(text))


def _is_locked(handle: int, start: int) -> bool:
    """Return whether another process has locked this byte, without locking it."""
    query = struct.pack(_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, start, 1, 0)
    found = struct.unpack(_FLOCK, fcntl.fcntl(handle, fcntl.F_GETLK, query))
    return bool(found[0] != fcntl.F_UNLCK)


def _read(handle: int) -> Running:
    for _ in range(_READS):
        try:
            found = json.loads(os.pread(handle, _MAX_BYTES, 0))
            lists = {name: tuple(found[name]) for name in ("secrets", "failing")}
            return Running(**{**found, **lists})
        except (ValueError, TypeError, KeyError):
            time.sleep(_READ_INTERVAL_S)  # another process may be writing it
    raise ValueError("it is not a record of this version")
