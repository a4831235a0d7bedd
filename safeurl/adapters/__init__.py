"""The rooms: one per outside system, each behind a port."""
