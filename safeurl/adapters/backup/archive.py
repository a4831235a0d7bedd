"""A tar file of plain files only, written and read from one end to the other.

Any `tar` unpacks it. Not compressed: screenshots and bodies are already, the workers need the
processor more, and a tar without compression cannot hold more than its own size. We read it
without `tarfile.TarFile`, which would keep every header in memory and knows links, devices and
extensions: here each member is a plain file under a name that is expected, or it is refused.
"""

import hashlib
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from safeurl.errors import RequestError

_BLOCK = tarfile.BLOCKSIZE
_END = bytes(2 * _BLOCK)
CHUNK = 1024 * 1024

DAMAGED = "The backup is damaged"


@dataclass(frozen=True, slots=True)
class Member:
    """The head of one file in the archive."""

    name: str
    size_bytes: int
    #: Over every byte of the archive before this head.
    sha256_before: str


class ArchiveWriter:
    """Writes members one after the other, and knows the SHA-256 of all it has written."""

    def __init__(self, stream: BinaryIO, at: datetime) -> None:
        """Write to the stream; every member is given this time."""
        self._stream = stream
        self._mtime = int(at.timestamp())
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Return the hash of everything up to here."""
        return self._digest.hexdigest()

    def add(self, name: str, size_bytes: int, chunks: Iterable[bytes]) -> None:
        """Write a file of exactly that size."""
        head = tarfile.TarInfo(name)
        head.size, head.mtime, head.mode = size_bytes, self._mtime, 0o600
        self._write(head.tobuf(tarfile.GNU_FORMAT))
        for chunk in chunks:
            self._write(chunk)
        self._write(_padding(size_bytes))

    def finish(self) -> None:
        """Write the end of the archive."""
        self._write(_END)

    def _write(self, data: bytes) -> None:
        self._digest.update(data)
        self._stream.write(data)


class ArchiveReader:
    """Reads members in their order; what is not as the writer wrote it raises RequestError."""

    def __init__(self, stream: BinaryIO) -> None:
        """Read from the stream's beginning."""
        self._stream = stream
        self._digest = hashlib.sha256()

    def next(self) -> Member:
        """Read the next head; there must be one, and it must be a plain file's."""
        before = self._digest.hexdigest()
        try:
            head = tarfile.TarInfo.frombuf(self._read(_BLOCK), "utf-8", "surrogateescape")
        except tarfile.HeaderError as exc:
            raise RequestError(f"{DAMAGED}, or is no backup of SafeURL.") from exc
        if head.type != tarfile.REGTYPE or head.size < 0:
            raise RequestError(f"The backup holds {head.name!r}, which is not a plain file.")
        return Member(head.name, head.size, before)

    def chunks(self, member: Member) -> Iterator[bytes]:
        """Read the member's bytes; they must be read to the end."""
        left = member.size_bytes
        while left:
            chunk = self._read(min(left, CHUNK))
            left -= len(chunk)
            yield chunk
        padding = _padding(member.size_bytes)
        if self._read(len(padding)) != padding:
            raise RequestError(f"{DAMAGED} after {member.name!r}.")

    def finish(self) -> None:
        """Check that the archive ends here."""
        if self._read(len(_END)) != _END or self._stream.read(1):
            raise RequestError(f"{DAMAGED} at its end.")

    def _read(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) < size:
            raise RequestError(f"{DAMAGED}: it ends too early.")
        self._digest.update(data)
        return data


def _padding(size_bytes: int) -> bytes:
    """Return what fills the last block of a file of that size."""
    return bytes(-size_bytes % _BLOCK)
