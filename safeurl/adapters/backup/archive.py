"""A tar file of plain files only, written and read sequentially.

Any `tar` unpacks it. It is not compressed: screenshots and bodies are compressed already, the
workers need the processor, and an uncompressed file cannot unpack to more than its own size. We
do not read it with `tarfile.TarFile`, which keeps every header in memory and supports links,
devices and extensions: here each member must be a plain file with an expected name.
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
    """The header of one file in the archive."""

    name: str
    size_bytes: int
    #: The hash of every byte of the archive before this header.
    sha256_before: str


class ArchiveWriter:
    """Writes members one after the other, and computes the SHA-256 of everything written."""

    def __init__(self, stream: BinaryIO, at: datetime) -> None:
        """Write to the stream; every member has this time."""
        self._stream = stream
        self._mtime = int(at.timestamp())
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Return the hash of everything written so far."""
        return self._digest.hexdigest()

    def add(self, name: str, size_bytes: int, chunks: Iterable[bytes]) -> None:
        """Write a file of exactly this size."""
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
    """Reads members in their order; raises RequestError if the writer could not have written it."""

    def __init__(self, stream: BinaryIO) -> None:
        """Read from the beginning of the stream."""
        self._stream = stream
        self._digest = hashlib.sha256()

    def next(self) -> Member:
        """Read the next header, which must exist and be of a plain file."""
        before = self._digest.hexdigest()
        try:
            head = tarfile.TarInfo.frombuf(self._read(_BLOCK), "utf-8", "surrogateescape")
        except tarfile.HeaderError as exc:
            raise RequestError(f"{DAMAGED}, or is not a backup of SafeURL.") from exc
        if head.type != tarfile.REGTYPE or head.size < 0:
            raise RequestError(f"The backup holds {head.name!r}, which is not a plain file.")
        return Member(head.name, head.size, before)

    def chunks(self, member: Member) -> Iterator[bytes]:
        """Yield the member's bytes; the caller must read them to the end."""
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
    """Return the padding of the last block of a file of this size."""
    return bytes(-size_bytes % _BLOCK)
