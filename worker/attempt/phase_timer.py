"""Measures the phases of one attempt, without a gap between them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from safeurl.model.attempt import SandboxFacts
from safeurl.model.records.wakeup import Arrival

#: The phases that the attempt's own process ends, in their order.
Phase = Literal["claim", "prepare", "bind", "fetch", "close", "store", "analyse"]
#: Hundredths of a millisecond: the clock and the scheduler are no more exact than that.
_DIGITS = 2


class PhaseTimer:
    """Takes the time at the end of each phase; the next one begins there.

    Within the host it uses the monotonic clock, which all processes share. What other hosts wrote
    is compared by the wall clock. A length that comes out negative, because clocks differ, is not
    known.
    """

    def __init__(
        self, arrival: Arrival | None, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with the claim; `arrival` is that of the wake-up, None where there was none."""
        self._arrival = arrival
        self._monotonic = monotonic
        self._mark_s = monotonic()
        # Any: the facts that take these fields have others, of other types.
        self._ms: dict[str, Any] = {}
        if arrival is not None:
            self._note("dispatch", self._mark_s - arrival.taken_s)

    def waited_since(self, due_at: datetime) -> None:
        """Note how long the scan waited from the time when it was due.

        A wake-up may be older: several are sent for one scan, and one of them may have been on the
        queue during an earlier attempt and the pause after it.
        """
        arrival = self._arrival
        if arrival is None or arrival.pushed_at is None:
            return
        self._note("push", (arrival.pushed_at - due_at).total_seconds())
        waited_from = max(arrival.pushed_at, due_at)
        self._note("wake", (arrival.taken_at - waited_from).total_seconds())

    def end(self, phase: Phase) -> None:
        """End a phase; the same phase once more, as of a second sandbox, is added to the first."""
        now_s = self._monotonic()
        self._note(phase, now_s - self._mark_s)
        self._mark_s = now_s

    @contextmanager
    def ending(self, phase: Phase) -> Iterator[None]:
        """End a phase with the block, also with one that fails."""
        try:
            yield
        finally:
            self.end(phase)

    def since_end_ms(self) -> float:
        """Return the time since the end of the last phase."""
        return (self._monotonic() - self._mark_s) * 1000

    def added_to(self, facts: SandboxFacts | None) -> SandboxFacts:
        """Return the facts with the phases that have ended."""
        return replace(facts or SandboxFacts(), **self._ms)

    def _note(self, phase: str, seconds: float) -> None:
        if seconds >= 0:
            name = f"{phase}_ms"
            self._ms[name] = round(self._ms.get(name, 0.0) + seconds * 1000, _DIGITS)
