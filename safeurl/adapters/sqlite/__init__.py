"""SQLite, the embedded database."""

from safeurl.adapters.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
