"""Deadlines on the monotonic clock."""

import time
from typing import Self

from msgspec import Struct


class Deadline(Struct, frozen=True):
    """A point on the monotonic clock by which work must be done."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """Return the deadline that is this number of seconds from now."""
        return cls(time.monotonic() + seconds)

    def left(self) -> float:
        """Return the number of seconds that are left, at least zero."""
        return max(0.0, self.at - time.monotonic())

    def within(self, seconds: float) -> "Deadline":
        """Return the earlier of this deadline and the one in this number of seconds."""
        return Deadline(min(self.at, time.monotonic() + seconds))

    def is_over(self) -> bool:
        """Return True if no time is left."""
        return self.left() <= 0


def milliseconds_since(start: float) -> float:
    """Return the milliseconds that have passed since the monotonic time `start`."""
    return round((time.monotonic() - start) * 1000, 3)
