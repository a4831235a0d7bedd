"""The queue of wake-ups."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Waiting:
    """What stands at the front of the queue."""

    #: Of the scans that have a wake-up there.
    scan_ids: frozenset[str] = frozenset()
    #: Whether no more than that is on the queue.
    is_all: bool = True


class WakeQueue(Protocol):
    """The message queue: wakes workers, may be flushed at any time without losing a scan."""

    async def push(self, scan_ids: Sequence[str], *, first: bool = False) -> None:
        """Put one wake-up per scan on the queue: at its end, or in this order before all others."""

    async def waiting(self, *, limit: int) -> Waiting:
        """Return which scans the next `limit` wake-ups are for."""

    async def ping(self) -> int:
        """Return how many wake-ups wait, else raise."""

    async def refused(self) -> int:
        """Return how many messages of the last hour were none of ours, and were refused."""

    async def close(self) -> None:
        """Release connections."""
