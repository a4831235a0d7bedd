"""Putting a backup in the place of an installation that does not run."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from safeurl.adapters.backup.archive import ArchiveReader
from safeurl.adapters.backup.document import DATABASE_NAME
from safeurl.adapters.backup.examiner import Examiner
from safeurl.adapters.backup.limits import Limits
from safeurl.adapters.backup.location import (
    COMPANIONS,
    Place,
    as_owner,
    in_use,
    kept_closed,
    kept_idle,
    sync_folder,
    written,
)
from safeurl.adapters.backup.take import Progress
from safeurl.adapters.backup.unpack import Rooms, Unpacked, unpack
from safeurl.adapters.files.sharing import file_mode
from safeurl.adapters.sql.schema import migrations
from safeurl.errors import RequestError, UnavailableError

#: How the names of the folders begin that hold a backup until it is put in place.
_ROOM = ".restore-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was put in place."""

    unpacked: Unpacked
    #: Where the database that was there before is kept.
    kept: Path | None


class Restorer:
    """Restores backups to one installation."""

    def __init__(
        self, place: Place, *, at: datetime, progress: Progress, limits: Limits | None = None
    ) -> None:
        """Take where to put it, the time for the name of what is kept, and whom to tell.

        `limits` bound what the backup's database may cost; the default suits every honest one.
        """
        self._place = place
        self._at = at
        self._progress = progress
        self._limits = limits or Limits()

    def restore(self, file: Path, *, replace: bool) -> Restored:
        """Read the whole backup and judge it; only then put it in place, the database last.

        Until the database has its name nothing has changed but that there are more blobs, which
        nothing names. Wake-ups that the embedded queue still holds do no harm: whose scan is not
        there or does not wait is dropped.
        """
        # Read now, because the owner of the folder need not be able to read our code.
        place, known = self._place, frozenset(step.number for step in migrations())
        with written(place.folder), _open(file) as stream:
            self._require_vacancy(replace=replace)
            # One by one, because `parents` gives those in between the process's default mode.
            place.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with Examiner(self._limits) as examiner:
                if place.folder.stat().st_uid != os.geteuid():
                    examiner.start()
                with as_owner(place.folder):
                    return self._restore(stream, known, examiner, replace=replace)

    def _restore(
        self, stream: BinaryIO, known: frozenset[int], examiner: Examiner, *, replace: bool
    ) -> Restored:
        place = self._place
        place.artefacts.mkdir(mode=0o700, exist_ok=True)
        with kept_idle(place), self._rooms() as rooms:
            with kept_closed(place):
                pass  # asked first, so that nobody waits for what will be refused
            self._require_disk(os.fstat(stream.fileno()).st_size)
            unpacked = unpack(ArchiveReader(stream), rooms, known, self._progress, examiner)
            kept = self._put_in_place(rooms, replace=replace)
        return Restored(unpacked=unpacked, kept=kept)

    def _require_vacancy(self, *, replace: bool) -> None:
        found = self._place.found()
        if found and not replace:
            raise RequestError(
                f"There is a database already: {found[0]}. Say --force to put it aside, under "
                "another name, and restore the backup in its place."
            )

    def _require_disk(self, needed: int) -> None:
        free = shutil.disk_usage(self._place.folder).free
        if needed > free:
            raise UnavailableError(
                f"The backup needs {needed:,} bytes, and the disk that holds {self._place.folder} "
                f"has {free:,} left. Make room, and try again."
            )

    @contextmanager
    def _rooms(self) -> Iterator[Rooms]:
        # What a restore left that was killed; no other one runs, because the queue is kept idle.
        for folder in (self._place.folder, self._place.artefacts):
            for left in folder.glob(f"{_ROOM}*"):
                shutil.rmtree(left)
        # Each on the disk where its content belongs, so that a rename is all that is left to do.
        with (
            TemporaryDirectory(dir=self._place.folder, prefix=_ROOM) as database,
            TemporaryDirectory(dir=self._place.artefacts, prefix=_ROOM) as artefacts,
        ):
            yield Rooms(database=Path(database), artefacts=Path(artefacts))

    def _put_in_place(self, rooms: Rooms, *, replace: bool) -> Path | None:
        for folder in sorted(rooms.artefacts.iterdir()):
            target = self._place.artefacts / folder.name
            target.mkdir(mode=0o700, exist_ok=True)
            for blob in sorted(folder.iterdir()):
                blob.rename(target / blob.name)
        (rooms.database / DATABASE_NAME).chmod(file_mode(self._place.folder))
        os.sync()  # one flush for all of them, before a database names them
        with kept_closed(self._place):
            self._require_vacancy(replace=replace)
            moved = self._put_aside()
            try:
                # Unlike a rename, a link never takes the name from a database that has just come.
                os.link(rooms.database / DATABASE_NAME, self._place.database)
            except OSError as exc:
                if self._place.found():
                    raise _overtaken(self._place, moved) from exc
                for path, aside in moved:
                    aside.rename(path)
                raise
            sync_folder(self._place.folder)
        return moved[0][1] if moved else None

    def _put_aside(self) -> list[tuple[Path, Path]]:
        """Rename the database and its companions; return each old and new name."""
        kept = f"{self._place.database}.before-restore-{self._at:%Y%m%dT%H%M%S%fZ}"
        names = [
            (Path(f"{self._place.database}{ending}"), Path(f"{kept}{ending}"))
            for ending in COMPANIONS
        ]
        moved = [(path, aside) for path, aside in names if os.path.lexists(path)]
        for path, aside in moved:
            path.rename(aside)
        return moved


def _overtaken(place: Place, moved: list[tuple[Path, Path]]) -> UnavailableError:
    """Return the error for a database that came while ours was put in place."""
    kept = f" The database that was there before is kept at {moved[0][1]}." if moved else ""
    return UnavailableError(f"{in_use(place)}{kept}")


def _open(file: Path) -> BinaryIO:
    if not file.is_file():
        raise RequestError(f"There is no file {file}.")
    try:
        return file.open("rb")
    except OSError as exc:
        raise RequestError(f"{file} cannot be read: {exc.strerror}.") from exc
