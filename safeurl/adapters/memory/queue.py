"""The shipped fake of `WakeQueue`."""

from collections.abc import Sequence

from safeurl.ports.queue import Waiting


class MemoryQueue:
    """`WakeQueue` in a list, oldest first."""

    def __init__(self) -> None:
        """Begin empty."""
        #: The next one first.
        self.ids: dict[str, None] = {}

    async def push(self, scan_ids: Sequence[str], *, first: bool = False) -> None:
        """Append, or insert before all; an id that waits already keeps its place or moves ahead."""
        given = dict.fromkeys(scan_ids)
        self.ids = given | self.ids if first else self.ids | given

    async def waiting(self, *, limit: int) -> Waiting:
        """Return the front."""
        return Waiting(frozenset(list(self.ids)[:limit]), len(self.ids) <= limit)

    async def ping(self) -> int:
        """Count them."""
        return len(self.ids)

    async def refused(self) -> int:
        """Refuse none: nobody else can write here."""
        return 0

    async def close(self) -> None:
        """Hold nothing that needs releasing."""
