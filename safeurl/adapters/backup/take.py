"""Takes a backup of an installation while it runs."""

import errno
import hashlib
import os
import sqlite3
import stat
from collections.abc import Iterator
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
    blob_name,
    encode,
)
from safeurl.adapters.backup.location import (
    Location,
    create_private,
    explain_write_errors,
    sync_folder,
)
from safeurl.adapters.backup.snapshot import (
    blobs,
    copy_database,
    explain_read_errors,
    open_copy,
    unsavable,
)
from safeurl.adapters.backup.validation import validate
from safeurl.adapters.files.artefacts import blob_path
from safeurl.errors import RequestError, StoreUnavailableError
from safeurl.model.records.backup import BackupSummary, Inventory, Manifest, Progress, Seal

#: No blob is larger: a body has 16 MiB at most.
_MAX_BLOB_BYTES = 64 * 1024**2


class BackupTaker:
    """Takes backups of one installation."""

    def __init__(
        self, location: Location, *, at: datetime, version: str, progress: Progress
    ) -> None:
        """Take the source, the time and version for the manifest, and the progress callback."""
        self._location = location
        self._at = at
        self._version = version
        self._progress = progress

    def take(self, file: Path, *, replace: bool) -> BackupSummary:
        """Write the backup to a temporary file next to `file`, then rename it.

        The database is copied first: a blob is stored before the row that names it, so every blob
        that the copy names exists. After a failure no partial file remains.
        """
        self._location.require_outside(file)
        folder = file.parent
        with explain_write_errors(folder):
            _require_target(file, replace=replace)
            self._require_source()
            with TemporaryDirectory(dir=folder, prefix=".safeurl-backup-", suffix=".part") as work:
                part = Path(work, "backup")
                summary = self._take(Path(work, DATABASE_NAME), part)
                _require_target(file, replace=replace)  # it may have been created meanwhile
                part.replace(file)
                sync_folder(folder)
        return summary

    def _require_source(self) -> None:
        try:
            exists = self._location.database.is_file()
        except PermissionError:
            exists = True  # the error of opening it explains more
        if not exists:
            raise RequestError(
                f"There is no database at {self._location.database}, so there is nothing to back "
                "up. SAFEURL_STATE_DIR names the folder."
            )

    def _take(self, copy: Path, part: Path) -> BackupSummary:
        source = self._location.database
        with explain_read_errors(source):
            copy_database(source, copy, lambda done, total: self._progress("database", done, total))
            with open_copy(copy) as database:
                result = validate(database)
                inventory = result.inventory
                if inventory is None:
                    wrong = result.damage or result.foreign or result.exceeded or ""
                    raise unsavable(source, wrong.removesuffix("."))
                with create_private(part) as stream:
                    return self._write(stream, copy, database, inventory)

    def _write(
        self, stream: BinaryIO, copy: Path, database: sqlite3.Connection, inventory: Inventory
    ) -> BackupSummary:
        manifest = Manifest(
            format=FORMAT,
            safeurl=self._version,
            created_at=self._at,
            migrations=inventory.migrations,
            database_bytes=copy.stat().st_size,
            database_sha256=_sha256(copy),
        )
        writer = ArchiveWriter(stream, self._at)
        _add_document(writer, MANIFEST_NAME, manifest)
        writer.add(DATABASE_NAME, manifest.database_bytes, _chunks(copy))
        missing = self._add_blobs(writer, database, inventory.artefacts)
        stored = inventory.artefacts - len(missing)
        seal = Seal(artefacts=stored, missing=len(missing), sha256=writer.sha256)
        _add_document(writer, SEAL_NAME, seal)
        writer.finish()
        stream.flush()
        os.fsync(stream.fileno())
        return BackupSummary(
            size_bytes=stream.tell(),
            manifest=manifest,
            inventory=inventory,
            missing=tuple(missing),
        )

    def _add_blobs(
        self, writer: ArchiveWriter, database: sqlite3.Connection, total: int
    ) -> list[str]:
        """Add every blob that the database names; return those that are missing or damaged."""
        missing = []
        for done, sha256 in enumerate(blobs(database), start=1):
            data = _read_blob(self._location.artefacts, sha256)
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
        raise RequestError(f"{file} is not a plain file. Choose another one.")
    if not replace:
        raise RequestError(f"{file} exists already. Choose another file, or add --force.")


def _add_document(writer: ArchiveWriter, name: str, document: Manifest | Seal) -> None:
    data = encode(document)
    writer.add(name, len(data), [data])


def _read_blob(root: Path, sha256: str) -> bytes | None:
    try:
        data = _content(blob_path(root, sha256))
    except FileNotFoundError:
        return None
    except OSError as exc:
        # A bad block of the disk must not prevent the backup of everything else.
        if exc.errno == errno.EIO:
            return None
        sentence = f"The artefact {sha256} cannot be read: {exc.strerror}."
        raise StoreUnavailableError(sentence) from exc
    return data if data is not None and hashlib.sha256(data).hexdigest() == sha256 else None


def _content(path: Path) -> bytes | None:
    """Return the content of a plain file; None for anything else, which may be endless.

    The folder belongs to the service, and root may take the backup.
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
