"""What all processes of a worker's tree know of their engine's latest failure."""

import mmap
import struct
import time

#: From a failure until the next sandbox, twice as long after each that follows.
_FIRST_PAUSE_S = 3.0
_MAX_PAUSE_S = 60.0
#: When it failed last (monotonic seconds), and how often in a row.
_FACTS = struct.Struct("dd")


class CircuitBreaker:
    """Shared with every process that is forked after it was made.

    An engine that listens and cannot run a sandbox (no image, full disk) fails each scan at once,
    so that its idle workers would take, and fail, the scans that other hosts could run.
    """

    def __init__(self) -> None:
        """Know of none."""
        self._shared = mmap.mmap(-1, _FACTS.size)

    def tell(self) -> None:
        """Note that a sandbox has failed; those that failed during a pause began before it."""
        failed_s, streak = self._facts()
        now_s = time.monotonic()
        if not streak or now_s >= failed_s + _pause_s(streak):
            streak += 1
        self._write(now_s, streak)

    def tell_again(self) -> None:
        """Note that the engine still fails, and begin its pause anew."""
        self._write(time.monotonic(), self._facts()[1])

    def clear(self) -> None:
        """Note that a sandbox has run."""
        if self._facts()[1]:
            self._write(0.0, 0.0)

    def is_known(self) -> bool:
        """Tell whether the engine has failed and nothing has run since."""
        return self._facts()[1] > 0

    def pauses(self) -> bool:
        """Tell whether it is too soon for another sandbox."""
        failed_s, streak = self._facts()
        return streak > 0 and time.monotonic() < failed_s + _pause_s(streak)

    def _facts(self) -> tuple[float, float]:
        failed_s, streak = _FACTS.unpack(self._shared[:])
        return failed_s, streak

    def _write(self, failed_s: float, streak: float) -> None:
        self._shared[:] = _FACTS.pack(failed_s, streak)


def _pause_s(streak: float) -> float:
    return min(_MAX_PAUSE_S, _FIRST_PAUSE_S * 2 ** (min(streak, 10) - 1))
