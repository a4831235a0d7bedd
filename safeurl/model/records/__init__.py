"""Records that are not about one scan: wake-ups, the running system, backups."""
