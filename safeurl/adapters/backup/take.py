"""Taking a backup of an installation that goes on working."""

import errno
import hashlib
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from safeurl.adapters.backup.archive import CHUNK, ArchiveWriter
from safeurl.adapters.backup.document import (
    DATABASE_NAME,
    FORMAT,
    MANIFEST_NAME,
    SEAL_NAME,
    Manifest,
    Seal,
    blob_name,
    encode,
)
from safeurl.adapters.backup.judgement import judge
from safeurl.adapters.backup.location import Place, create, sync_folder, written
from safeurl.adapters.backup.snapshot import (
    Census,
    blobs,
    copy_database,
    damaged,
    open_copy,
    reading,
)
from safeurl.adapters.files.artefacts import blob_path
from safeurl.errors import RequestError, StoreUnavailableError

#: No blob is larger: a body has 16 MiB at most.
_MAX_BLOB_BYTES = 64 * 1024**2

#: What is being done, how much of it is done, of how much.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What was written."""

    size_bytes: int
    manifest: Manifest
    census: Census
    #: Artefacts that the database names and that are gone or damaged, by their SHA-256.
    missing: tuple[str, ...]


class BackupTaker:
    """Takes backups of one installation."""

    def __init__(self, place: Place, *, at: datetime, version: str, progress: Progress) -> None:
        """Take what to copy, what the manifest says of it, and whom to tell how far it is."""
        self._place = place
        self._at = at
        self._version = version
        self._progress = progress

    def take(self, file: Path, *, replace: bool) -> Taken:
        """Write the backup under a name of its own beside `file`, then rename it.

        The database is copied first: a blob is stored before the row that names it, so that every
        blob of the copy is there. Whatever fails, nothing half-written is left.
        """
        self._place.require_apart(file)
        folder = file.parent
        with written(folder):
            _require_target(file, replace=replace)
            self._require_source()
            with TemporaryDirectory(dir=folder, prefix=".safeurl-backup-", suffix=".part") as room:
                part = Path(room, "backup")
                taken = self._take(Path(room, DATABASE_NAME), part)
                _require_target(file, replace=replace)  # it may have come meanwhile
                part.replace(file)
                sync_folder(folder)
        return taken

    def _require_source(self) -> None:
        try:
            there = self._place.database.is_file()
        except PermissionError:
            there = True  # opening it says more
        if not there:
            raise RequestError(
                f"There is no database at {self._place.database}, so there is nothing to back up. "
                "SAFEURL_STATE_DIR names the folder."
            )

    def _take(self, copy: Path, part: Path) -> Taken:
        source = self._place.database
        with reading(source):
            copy_database(source, copy, lambda done, total: self._progress("database", done, total))
            with open_copy(copy) as database:
                judged = judge(database)
                counted = judged.census
                if counted is None:
                    wrong = judged.damage or judged.foreign or judged.exceeded or ""
                    raise damaged(source, wrong.removesuffix("."))
                with create(part) as stream:
                    return self._write(stream, copy, database, counted)

    def _write(
        self, stream: BinaryIO, copy: Path, database: sqlite3.Connection, counted: Census
    ) -> Taken:
        manifest = Manifest(
            format=FORMAT,
            safeurl=self._version,
            created_at=self._at,
            migrations=counted.migrations,
            database_bytes=copy.stat().st_size,
            database_sha256=_sha256(copy),
        )
        writer = ArchiveWriter(stream, self._at)
        _add_document(writer, MANIFEST_NAME, manifest)
        writer.add(DATABASE_NAME, manifest.database_bytes, _chunks(copy))
        missing = self._add_blobs(writer, database, counted.artefacts)
        stored = counted.artefacts - len(missing)
        seal = Seal(artefacts=stored, missing=len(missing), sha256=writer.sha256)
        _add_document(writer, SEAL_NAME, seal)
        writer.finish()
        stream.flush()
        os.fsync(stream.fileno())
        return Taken(
            size_bytes=stream.tell(), manifest=manifest, census=counted, missing=tuple(missing)
        )

    def _add_blobs(
        self, writer: ArchiveWriter, database: sqlite3.Connection, total: int
    ) -> list[str]:
        """Add every blob that the database names; return those that are gone or damaged."""
        missing = []
        for done, sha256 in enumerate(blobs(database), start=1):
            data = _read_blob(self._place.artefacts, sha256)
            if data is None:
                missing.append(sha256)
            else:
                writer.add(blob_name(sha256), len(data), [data])
            self._progress("artefacts", done, total)
        return missing


def _require_target(file: Path, *, replace: bool) -> None:
    if not file.parent.is_dir():
        raise RequestError(f"The folder {file.parent} does not exist.")
    if not os.path.lexists(file):
        return
    if not stat.S_ISREG(file.lstat().st_mode):
        raise RequestError(f"{file} is no plain file. Name another one.")
    if not replace:
        raise RequestError(f"{file} is there already. Name another file, or say --force.")


def _add_document(writer: ArchiveWriter, name: str, document: Manifest | Seal) -> None:
    data = encode(document)
    writer.add(name, len(data), [data])


def _read_blob(root: Path, sha256: str) -> bytes | None:
    try:
        data = _content(blob_path(root, sha256))
    except FileNotFoundError:
        return None
    except OSError as exc:
        # A bad spot on the disk must not keep all the rest from being saved.
        if exc.errno == errno.EIO:
            return None
        sentence = f"The artefact {sha256} cannot be read: {exc.strerror}."
        raise StoreUnavailableError(sentence) from exc
    return data if data is not None and hashlib.sha256(data).hexdigest() == sha256 else None


def _content(path: Path) -> bytes | None:
    """Return what a plain file holds; None for anything else, which may have no end.

    The folder is the service's, and root may be who takes the backup.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
        found = os.fstat(stream.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MAX_BLOB_BYTES:
            return None
        return stream.read(found.st_size)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk
