"""Limits how many bytes per second a sandbox may transfer, over all its connections.

A token bucket: each byte that is read takes a token, and tokens return at a constant rate. A reader
without tokens waits; no connection is refused or cut.
"""

import time
from collections.abc import Callable
from typing import Final

#: The bucket holds the tokens of this time. A page loads many parts at once; this burst does not
#: delay them while the average stays below the limit.
_BURST_S: Final = 0.25
#: Reading resumes when this share of the bucket has returned, which saves wake-ups for few bytes.
_STEP: Final = 1 / 64


class RateLimit:
    """The limit of one direction of one sandbox."""

    __slots__ = ("_at_s", "_clock", "_full", "_rate", "_step", "_tokens")

    def __init__(self, bytes_per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the rate, at least 1, and a clock in seconds; the bucket starts full."""
        self._rate = bytes_per_second
        self._clock = clock
        self._full = max(bytes_per_second * _BURST_S, 1.0)
        self._step = max(self._full * _STEP, 1.0)
        self._tokens = self._full
        self._at_s = clock()

    def available(self) -> int:
        """Return how many bytes may be read now; 0 if the reader has to wait."""
        # Reads the clock only if the result depends on it: this runs at each event.
        if self._tokens < self._step:
            self._refill()
        return int(self._tokens) if self._tokens >= self._step else 0

    def take(self, count: int) -> None:
        """Take the tokens of bytes that were read; the balance may become negative."""
        self._tokens -= count

    def wait_s(self) -> float:
        """Return the seconds until `available` is above 0; 0.0 if it is now."""
        return 0.0 if self.available() else max((self._step - self._tokens) / self._rate, 0.001)

    def _refill(self) -> None:
        now_s = self._clock()
        gained = (now_s - self._at_s) * self._rate
        self._tokens = min(self._tokens + gained, self._full)
        self._at_s = now_s
