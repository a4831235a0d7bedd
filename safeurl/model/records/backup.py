"""The facts about a backup: its manifest, its seal and its contents."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

#: Reports progress: the step, the finished amount, and the total.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The contents of the backup; its first member."""

    format: int
    #: The version of SafeURL that wrote it.
    safeurl: str
    created_at: datetime
    #: The numbers of the migrations in the database, ascending.
    migrations: tuple[int, ...]
    database_bytes: int
    database_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """The proof that the backup is complete; its last member."""

    artefacts: int
    #: Artefacts of the database that were missing or damaged at the time of the backup.
    missing: int
    #: The hash of every byte of the file before this member.
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """The contents of a database, as numbers."""

    migrations: tuple[int, ...]
    #: The number of different blobs that artefact rows name.
    artefacts: int
    queued: int
    in_progress: int
    final: int

    @property
    def scans(self) -> int:
        """Return the number of scans."""
        return self.queued + self.in_progress + self.final


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSummary:
    """The contents of a backup that was written."""

    size_bytes: int
    manifest: Manifest
    inventory: Inventory
    #: The SHA-256 of each artefact of the database that is missing or damaged.
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """A backup that was read to its end and is valid."""

    manifest: Manifest
    inventory: Inventory
    seal: Seal


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSummary:
    """A backup that was restored."""

    unpacked: Unpacked
    #: The new name of the database that existed before.
    kept: Path | None
