"""The statements about migrations."""

MIGRATIONS = "SELECT * FROM schema_migrations ORDER BY number"

MIGRATED = """
INSERT INTO schema_migrations (number, name, applied_at) VALUES (:number, :name, :now)
"""
