"""All SQL statements of the store, one file per port; SQLite and libSQL run the same text."""
