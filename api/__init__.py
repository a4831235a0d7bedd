"""The HTTP API: accepts scans and shows their results; it has no access to Docker."""
