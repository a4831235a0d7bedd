"""What the core needs of the world, as protocols, one per file; the contracts stand there.

Every implementation passes the same suite in `tests/contract`. Adapters raise only the errors of
`safeurl.errors`; a guarded write that lost its race returns None or False.
"""
