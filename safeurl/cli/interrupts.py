"""Holds back the signals that end a command until it has cancelled its scan."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Final

#: Ctrl-C, the request to terminate, and a closed terminal.
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: A shell adds this to the number of a signal for the exit code.
_SHELL_BASE: Final = 128
#: A signal within this time may be a repetition, as from `timeout`, or from both the kernel and the
#: shell when a terminal is closed.
_DUPLICATE_S: Final = 0.5


@dataclass(slots=True)
class Interrupts:
    """The signals that arrived since `hold` was called."""

    #: The first signal; 0 if there is none.
    number: int = 0
    count: int = 0
    #: The number of signals that are certainly not repetitions.
    distinct: int = 0
    monotonic: Callable[[], float] = time.monotonic
    _last_s: float = 0.0

    @property
    def exit_code(self) -> int:
        """The exit code of the first signal."""
        return _SHELL_BASE + self.number

    def hold(self) -> None:
        """Record signals from now on; none of them interrupts the present work."""
        for number in SIGNALS:
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        now_s = self.monotonic()
        self.number = self.number or number
        self.count += 1
        self.distinct += now_s - self._last_s >= _DUPLICATE_S
        self._last_s = now_s
