"""Artefacts as files: each is named by its SHA-256 and is written completely or not at all."""

import asyncio
import errno
import hashlib
import os
import re
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from safeurl.errors import StoreFullError, StoreUnavailableError

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_PRIVATE_DIRECTORY = 0o700
_PART = ".part"
#: Every write takes much less time.
_ABANDONED_S = 3600.0
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


class FileArtefacts:
    """The port `ArtefactStore` in a directory that only its owner can read.

    A file appears under its name by a rename, after its bytes are on disk. A process that is
    killed before that leaves at most a `.part` file, which nothing ever reads; `sweep` removes it.
    """

    def __init__(self, root: Path) -> None:
        """Take the directory; it is created with the first artefact."""
        self._root = root

    async def put(self, data: bytes) -> str:
        """Store the bytes; a damaged file of the same name is replaced."""
        return await asyncio.to_thread(self._put, data)

    async def get(self, sha256: str) -> bytes | None:
        """Return the bytes; raise `StoreUnavailableError` if they are missing or changed."""
        return await asyncio.to_thread(self._get, sha256)

    async def sweep(self) -> int:
        """Remove the partial files of killed processes; return their number."""
        return await asyncio.to_thread(self._sweep)

    def _sweep(self) -> int:
        old = time.time() - _ABANDONED_S
        removed = 0
        try:
            for part in self._root.glob(f"*/*{_PART}"):
                with suppress(FileNotFoundError):  # it has just got its name
                    if part.stat().st_mtime < old:
                        part.unlink()
                        removed += 1
        except OSError as exc:
            raise StoreUnavailableError(f"Old files of {self._root} stay: {exc}.") from exc
        return removed

    def _put(self, data: bytes) -> str:
        sha256 = hashlib.sha256(data).hexdigest()
        path = self._path(sha256)
        try:
            if _read(path) != data:
                _make_private(self._root, path.parent)
                _write(path, data)
        except OSError as exc:
            raise _unavailable(sha256, exc) from exc
        return sha256

    def _get(self, sha256: str) -> bytes | None:
        # Names come from requests too: what is not a hash must not become a path.
        if not _SHA256.fullmatch(sha256):
            return None
        try:
            data = _read(self._path(sha256))
        except OSError as exc:
            raise _unavailable(sha256, exc) from exc
        if data is not None and hashlib.sha256(data).hexdigest() != sha256:
            raise StoreUnavailableError(f"The artefact {sha256} is damaged on disk.")
        return data

    def _path(self, sha256: str) -> Path:
        return blob_path(self._root, sha256)


def blob_path(root: Path, sha256: str) -> Path:
    """Return the file of a blob in the directory of a `FileArtefacts`."""
    return root / sha256[:2] / sha256[2:]


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _make_private(root: Path, directory: Path) -> None:
    # `parents=True` would give the directories in between the process's default mode.
    root.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    directory.mkdir(mode=_PRIVATE_DIRECTORY, exist_ok=True)
    # Each time, because the process that created it may have been killed before this step.
    with suppress(PermissionError):  # somebody else's folder, in which this one was made for us
        _sync_directory(root.parent)
    _sync_directory(root)


def _write(path: Path, data: bytes) -> None:
    # `mkstemp` makes the file readable by its owner only.
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=_PART)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    """Flush the directory, so that new and renamed files in it survive a power failure."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unavailable(sha256: str, exc: OSError) -> StoreUnavailableError:
    kind = StoreFullError if exc.errno in _DISK_FULL else StoreUnavailableError
    return kind(f"The artefact {sha256} could not be read or written: {exc}.")
