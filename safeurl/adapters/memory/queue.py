"""`WakeQueue` in memory, for tests."""

from collections.abc import Sequence

from safeurl.ports.queue import Waiting


class MemoryQueue:
    """`WakeQueue` in a list, oldest first."""

    def __init__(self) -> None:
        """Create an empty queue."""
        #: The ids of the scans, the next one first.
        self.ids: dict[str, None] = {}

    async def push(self, scan_ids: Sequence[str], *, first: bool = False) -> None:
        """Append the ids or insert them at the front; an id is on the queue only once."""
        given = dict.fromkeys(scan_ids)
        self.ids = given | self.ids if first else self.ids | given

    async def waiting(self, *, limit: int) -> Waiting:
        """Return the front of the list."""
        return Waiting(frozenset(list(self.ids)[:limit]), len(self.ids) <= limit)

    async def ping(self) -> int:
        """Return the length of the list."""
        return len(self.ids)

    async def refused(self) -> int:
        """Return 0, because no other program can write here."""
        return 0

    async def close(self) -> None:
        """Do nothing: there is no connection."""
