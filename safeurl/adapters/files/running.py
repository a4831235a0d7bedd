"""What runs over a state folder, and with which settings: a record beside the database.

The process that runs keeps a lock on the record, so that one that a killed process has left says
nothing. Secrets are not in it.
"""

import errno
import fcntl
import json
import logging
import os
import stat
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

_log = logging.getLogger("safeurl.running")

_NAME: Final = "running.json"
_PRIVATE_FILE: Final = 0o600
#: The bytes that are locked: the first while the process lives, the second once all is written.
_LIVES, _WRITTEN = 0, 1
#: `struct flock` of Linux on 64 bits: type, whence, start, length, process.
_FLOCK: Final = "hhqqi"
#: Some thousand bytes are usual; more is no record of ours.
_MAX_BYTES: Final = 256 * 1024
_READS: Final = 3
_APART_S: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A running system: who runs it, and its settings."""

    #: The command: `up`, `worker` or `api`.
    command: str
    pid: int
    #: The settings file that it has read; empty where it has read none.
    file: str
    #: By the name of its variable, as text; secrets are not among them.
    settings: dict[str, str]
    #: The names of the secrets that are set.
    secrets: tuple[str, ...]
    #: The processes of it that fail at each start.
    failing: tuple[str, ...] = ()


#: Takes the record's next version.
Update = Callable[[Running], None]


@contextmanager
def announced(folder: Path, running: Running) -> Iterator[Update]:
    """Keep the record while the block runs; without it the system runs just as well.

    Yields what puts another version in its place.
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
    """Return what runs over the state folder now; None where nothing does, or nothing is known.

    OSError where this user may not read the record, and ValueError where it is none.
    """
    try:
        handle = os.open(folder / _NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        info = os.fstat(handle)
        # Others may write in a shared state folder; what they put there is not believed.
        is_trusted = info.st_uid in {0, os.geteuid(), folder.stat().st_uid}
        if not (is_trusted and stat.S_ISREG(info.st_mode) and _is_locked(handle, _WRITTEN)):
            return None
        return _read(handle)
    finally:
        os.close(handle)


def _write(path: Path, running: Running) -> int:
    """Return the open record; its lock ends with this process, and forks do not inherit it."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    handle = os.open(path, flags, _PRIVATE_FILE)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _LIVES)
        os.fchmod(handle, _PRIVATE_FILE)  # refused for a file that is another user's
        _put(handle, running)
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _WRITTEN)
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
    """Tell whether another process has this byte locked, without locking it for a moment."""
    asked = struct.pack(_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, start, 1, 0)
    found = struct.unpack(_FLOCK, fcntl.fcntl(handle, fcntl.F_GETLK, asked))
    return bool(found[0] != fcntl.F_UNLCK)


def _read(handle: int) -> Running:
    for _ in range(_READS):
        try:
            found = json.loads(os.pread(handle, _MAX_BYTES, 0))
            lists = {name: tuple(found[name]) for name in ("secrets", "failing")}
            return Running(**{**found, **lists})
        except (ValueError, TypeError, KeyError):
            time.sleep(_APART_S)  # it may be written anew just now
    raise ValueError("it is no record of this version")
