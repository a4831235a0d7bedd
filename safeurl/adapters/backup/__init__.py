"""Backups of an embedded installation: one file with the database and the artefacts it names."""

from safeurl.adapters.backup.location import Place
from safeurl.adapters.backup.restore import Restored, Restorer
from safeurl.adapters.backup.take import BackupTaker, Taken

__all__ = ["BackupTaker", "Place", "Restored", "Restorer", "Taken"]
