"""libSQL: a self-hosted sqld, or Turso Cloud."""

from safeurl.adapters.libsql.store import LibSQLStore

__all__ = ["LibSQLStore"]
