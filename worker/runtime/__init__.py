"""The processes of a worker: how they start, live and end."""
