"""How many bytes a sandbox may carry within a second, over all its connections.

A token bucket: each byte that is read takes a token, and tokens come back at a steady rate. Who has
none waits; nothing is refused or cut.
"""

import time
from collections.abc import Callable
from typing import Final

#: The bucket holds what comes back within this time, so that a page's parts, which come at once,
#: are not held up by a limit that they keep on the whole.
_BURST_S: Final = 0.25
#: Reading goes on once this part of the bucket is there: a wake-up for each byte helps nobody.
_STEP: Final = 1 / 64


class Pace:
    """One direction of one sandbox."""

    __slots__ = ("_at_s", "_clock", "_full", "_rate", "_step", "_tokens")

    def __init__(self, bytes_per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the rate, at least 1, and a clock that gives seconds; the bucket is full."""
        self._rate = bytes_per_second
        self._clock = clock
        self._full = max(bytes_per_second * _BURST_S, 1.0)
        self._step = max(self._full * _STEP, 1.0)
        self._tokens = self._full
        self._at_s = clock()

    def most(self) -> int:
        """Return how many bytes may be read now; 0 where the reader has to wait."""
        # The clock is read only where the answer depends on it: this is asked at each event.
        if self._tokens < self._step:
            self._refill()
        return int(self._tokens) if self._tokens >= self._step else 0

    def spend(self, count: int) -> None:
        """Take the tokens of bytes that were read; more than there are is a debt."""
        self._tokens -= count

    def wait_s(self) -> float:
        """Return in how many seconds `most` is above 0 again; 0.0 where it is now."""
        return 0.0 if self.most() else max((self._step - self._tokens) / self._rate, 0.001)

    def _refill(self) -> None:
        now_s = self._clock()
        gained = (now_s - self._at_s) * self._rate
        self._tokens = min(self._tokens + gained, self._full)
        self._at_s = now_s
