"""The queue of wake-ups."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Waiting:
    """The wake-ups at the front of the queue."""

    #: The ids of the scans that have a wake-up there.
    scan_ids: frozenset[str] = frozenset()
    #: True if the queue contains nothing more.
    is_all: bool = True


class WakeQueue(Protocol):
    """The message queue, which wakes workers. If it loses its content, no scan is lost."""

    async def push(self, scan_ids: Sequence[str], *, first: bool = False) -> None:
        """Put one wake-up per scan on the queue, in this order: at its end or at its front."""

    async def waiting(self, *, limit: int) -> Waiting:
        """Return the scans of the next `limit` wake-ups."""

    async def ping(self) -> int:
        """Return the number of waiting wake-ups; raise if the server does not accept writes."""

    async def refused(self) -> int:
        """Return the number of messages of the last hour that were refused as invalid."""

    async def close(self) -> None:
        """Release connections."""
