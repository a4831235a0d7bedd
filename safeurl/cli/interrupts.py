"""Signals that end a command which has a scan to cancel first."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Final

#: Ctrl-C, what asks a service to end, and a terminal that was closed.
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: What a shell adds to a signal's number to make an exit code of it.
_SHELL_BASE: Final = 128
#: A signal so soon after another may be the same one again, as from `timeout`, or from both the
#: kernel and the shell where a terminal is closed.
_DUPLICATE_S: Final = 0.5


@dataclass(slots=True)
class Interrupts:
    """What came since signals are held."""

    #: The first signal; 0 for none.
    number: int = 0
    count: int = 0
    #: How many of them are another one for certain.
    distinct: int = 0
    monotonic: Callable[[], float] = time.monotonic
    _last_s: float = 0.0

    @property
    def exit_code(self) -> int:
        """The exit code that the first signal stands for."""
        return _SHELL_BASE + self.number

    def hold(self) -> None:
        """Note signals from now on, and let none of them end what is done meanwhile."""
        for number in SIGNALS:
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        now_s = self.monotonic()
        self.number = self.number or number
        self.count += 1
        self.distinct += now_s - self._last_s >= _DUPLICATE_S
        self._last_s = now_s
