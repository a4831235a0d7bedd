"""Restores a backup to an installation that does not run."""

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from safeurl.adapters.backup.archive import ArchiveReader
from safeurl.adapters.backup.document import DATABASE_NAME
from safeurl.adapters.backup.limits import Limits
from safeurl.adapters.backup.location import (
    COMPANIONS,
    Location,
    as_owner,
    explain_write_errors,
    in_use_error,
    lock_database,
    lock_queue,
    sync_folder,
)
from safeurl.adapters.backup.unpack import StagingFolders, unpack
from safeurl.adapters.backup.validator import DatabaseValidator
from safeurl.adapters.files.sharing import file_mode
from safeurl.adapters.sql.schema.shipped import migrations
from safeurl.errors import RequestError, UnavailableError
from safeurl.model.records.backup import Progress, RestoreSummary

#: The prefix of the folders that hold a backup until it is installed.
_STAGING_PREFIX = ".restore-"


class Restorer:
    """Restores backups to one installation."""

    def __init__(
        self, location: Location, *, at: datetime, progress: Progress, limits: Limits | None = None
    ) -> None:
        """Take the target, the time for the new name of an old database, and the callback.

        `limits` bound the cost of validating the database; the default suits every valid one.
        """
        self._location = location
        self._at = at
        self._progress = progress
        self._limits = limits or Limits()

    def restore(self, file: Path, *, replace: bool) -> RestoreSummary:
        """Read and validate the whole backup; only then install it, the database last.

        Until the database has its name, the only change is additional blobs that no row names.
        Wake-ups that remain in the embedded queue do no harm: a worker drops those whose scan does
        not exist or does not wait.
        """
        # Read first, because the owner of the folder may not be able to read our code.
        location, known = self._location, frozenset(step.number for step in migrations())
        with explain_write_errors(location.folder), _open(file) as stream:
            self._require_no_database(replace=replace)
            # `parents=True` would give the folders in between the default mode of the process.
            location.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with closing(DatabaseValidator(self._limits)) as validator:
                if location.folder.stat().st_uid != os.geteuid():
                    validator.start()
                with as_owner(location.folder):
                    return self._restore(stream, known, validator, replace=replace)

    def _restore(
        self,
        stream: BinaryIO,
        known: frozenset[int],
        validator: DatabaseValidator,
        *,
        replace: bool,
    ) -> RestoreSummary:
        location = self._location
        location.artefacts.mkdir(mode=0o700, exist_ok=True)
        with lock_queue(location), self._staging_folders() as staging:
            with lock_database(location):
                pass  # tested first, so that a refusal comes before the long reading
            self._require_disk(os.fstat(stream.fileno()).st_size)
            unpacked = unpack(ArchiveReader(stream), staging, known, self._progress, validator)
            kept = self._install(staging, replace=replace)
        return RestoreSummary(unpacked=unpacked, kept=kept)

    def _require_no_database(self, *, replace: bool) -> None:
        found = self._location.existing_files()
        if found and not replace:
            raise RequestError(
                f"There is a database already: {found[0]}. Add --force to rename it and restore "
                "the backup in its place."
            )

    def _require_disk(self, needed: int) -> None:
        free = shutil.disk_usage(self._location.folder).free
        if needed > free:
            raise UnavailableError(
                f"The backup needs {needed:,} bytes, and the disk that holds "
                f"{self._location.folder} has {free:,} left. Free some space, and try again."
            )

    @contextmanager
    def _staging_folders(self) -> Iterator[StagingFolders]:
        # Remove the folders of a killed restore; no other runs, because we hold the queue's lock.
        for folder in (self._location.folder, self._location.artefacts):
            for left in folder.glob(f"{_STAGING_PREFIX}*"):
                shutil.rmtree(left)
        # Each is on the disk of its target, so that a rename installs its content.
        with (
            TemporaryDirectory(dir=self._location.folder, prefix=_STAGING_PREFIX) as database,
            TemporaryDirectory(dir=self._location.artefacts, prefix=_STAGING_PREFIX) as artefacts,
        ):
            yield StagingFolders(database=Path(database), artefacts=Path(artefacts))

    def _install(self, staging: StagingFolders, *, replace: bool) -> Path | None:
        for folder in sorted(staging.artefacts.iterdir()):
            target = self._location.artefacts / folder.name
            target.mkdir(mode=0o700, exist_ok=True)
            for blob in sorted(folder.iterdir()):
                blob.rename(target / blob.name)
        (staging.database / DATABASE_NAME).chmod(file_mode(self._location.folder))
        os.sync()  # one flush for all blobs, before a database names them
        with lock_database(self._location):
            self._require_no_database(replace=replace)
            moved = self._rename_old_database()
            try:
                # Unlike a rename, a link never replaces a database that was just created.
                os.link(staging.database / DATABASE_NAME, self._location.database)
            except OSError as exc:
                if self._location.existing_files():
                    raise _created_meanwhile(self._location, moved) from exc
                for path, aside in moved:
                    aside.rename(path)
                raise
            sync_folder(self._location.folder)
        return moved[0][1] if moved else None

    def _rename_old_database(self) -> list[tuple[Path, Path]]:
        """Rename the files of the database; return each old and new name."""
        kept = f"{self._location.database}.before-restore-{self._at:%Y%m%dT%H%M%S%fZ}"
        names = [
            (Path(f"{self._location.database}{ending}"), Path(f"{kept}{ending}"))
            for ending in COMPANIONS
        ]
        moved = [(path, aside) for path, aside in names if os.path.lexists(path)]
        for path, aside in moved:
            path.rename(aside)
        return moved


def _created_meanwhile(location: Location, moved: list[tuple[Path, Path]]) -> UnavailableError:
    """Return the error for a database that another process created meanwhile."""
    kept = f" The database that existed before is now {moved[0][1]}." if moved else ""
    return UnavailableError(f"{in_use_error(location)}{kept}")


def _open(file: Path) -> BinaryIO:
    if not file.is_file():
        raise RequestError(f"There is no file {file}.")
    try:
        return file.open("rb")
    except OSError as exc:
        raise RequestError(f"{file} cannot be read: {exc.strerror}.") from exc
