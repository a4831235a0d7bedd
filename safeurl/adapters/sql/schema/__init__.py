"""The schema: as shipped, migrated, and compared with the one of a database."""
