"""Backups of an embedded installation: one file with the database and the artefacts it names."""

from safeurl.adapters.backup.location import Location
from safeurl.adapters.backup.restore import Restorer
from safeurl.adapters.backup.take import BackupTaker

__all__ = ["BackupTaker", "Location", "Restorer"]
