"""Every SQL statement of the store, one file per port; the same text runs on SQLite and libSQL."""
