"""A circuit breaker for Docker that all processes of a worker share."""

import mmap
import struct
import time
from collections.abc import Callable

#: The pause after the first failure; each further failure in a row doubles it.
_FIRST_PAUSE_S = 3.0
_MAX_PAUSE_S = 60.0
#: The time of the last failure (monotonic seconds), and the number of failures in a row.
_RECORD = struct.Struct("dd")


class CircuitBreaker:
    """Counts failures of the engine; shared with every process that is forked afterwards.

    An engine may accept connections but fail each sandbox at once (no image, full disk). Without a
    pause, the idle workers of this host would claim, and fail, the scans that other hosts can run.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start without a failure."""
        self._monotonic = monotonic
        self._shared = mmap.mmap(-1, _RECORD.size)

    def record_failure(self) -> None:
        """Record a failed sandbox; failures during a pause do not count again."""
        failed_s, streak = self._read()
        now_s = self._monotonic()
        if not streak or now_s >= failed_s + _pause_s(streak):
            streak += 1
        self._write(now_s, streak)

    def restart_pause(self) -> None:
        """Record that the engine still fails, and restart the pause."""
        self._write(self._monotonic(), self._read()[1])

    def record_success(self) -> None:
        """Record that a sandbox has run."""
        if self._read()[1]:
            self._write(0.0, 0.0)

    def has_failed(self) -> bool:
        """Return True if the engine has failed and no sandbox has run since."""
        return self._read()[1] > 0

    def is_open(self) -> bool:
        """Return True during a pause: no sandbox should be started."""
        failed_s, streak = self._read()
        return streak > 0 and self._monotonic() < failed_s + _pause_s(streak)

    def _read(self) -> tuple[float, float]:
        failed_s, streak = _RECORD.unpack(self._shared[:])
        return failed_s, streak

    def _write(self, failed_s: float, streak: float) -> None:
        self._shared[:] = _RECORD.pack(failed_s, streak)


def _pause_s(streak: float) -> float:
    return min(_MAX_PAUSE_S, _FIRST_PAUSE_S * 2 ** (min(streak, 10) - 1))
