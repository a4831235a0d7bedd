"""The interfaces to databases, queues and sandboxes: one protocol with its contract per file.

Every implementation passes the same suite in `tests/contract`. Adapters raise only the errors of
`safeurl.errors`. A guarded write returns None or False if another write came first.
"""
