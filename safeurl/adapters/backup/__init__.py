"""Backups of an embedded installation: one file with the database and the artefacts it names."""

from safeurl.adapters.backup.location import Location
from safeurl.adapters.backup.restore import Restorer, RestoreSummary
from safeurl.adapters.backup.take import BackupSummary, BackupTaker

__all__ = ["BackupSummary", "BackupTaker", "Location", "RestoreSummary", "Restorer"]
