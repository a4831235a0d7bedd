"""SafeURL's own HTTP API."""
