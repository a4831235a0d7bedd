"""Points in time by which work must be done."""

import time
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point on the monotonic clock."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """Return the deadline that many seconds from now."""
        return cls(time.monotonic() + seconds)

    def left(self) -> float:
        """Return the seconds left, never below zero."""
        return max(0.0, self.at - time.monotonic())

    def within(self, seconds: float) -> "Deadline":
        """Return this deadline or the one that many seconds from now, whichever is earlier."""
        return Deadline(min(self.at, time.monotonic() + seconds))

    def is_over(self) -> bool:
        """Tell whether no time is left."""
        return self.left() <= 0


def milliseconds_since(start: float) -> float:
    """Return how long ago the monotonic time `start` was, in milliseconds."""
    return round((time.monotonic() - start) * 1000, 3)
