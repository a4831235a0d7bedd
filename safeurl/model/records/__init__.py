"""What SafeURL writes besides scans: wake-ups, the record of a running system, backups."""
