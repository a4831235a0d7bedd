"""What was asked of the pool: counters, and the claims of the last minute."""

import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

_LONG_S: Final = 60.0
_SHORT_S: Final = 10.0


class Demand:
    """Counts claims and what became of them."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start without a claim."""
        self._monotonic = monotonic
        self._claims: deque[float] = deque()
        self.hits = 0
        self.waited = 0
        self.misses: Counter[str] = Counter()

    def claimed(self) -> None:
        """Count a claim, whatever becomes of it."""
        self._claims.append(self._monotonic())

    def recent(self) -> tuple[int, int]:
        """Return the number of claims in the last 10 and in the last 60 seconds."""
        now = self._monotonic()
        while self._claims and self._claims[0] < now - _LONG_S:
            self._claims.popleft()
        return sum(at >= now - _SHORT_S for at in self._claims), len(self._claims)
