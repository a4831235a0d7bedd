"""Signals that end a command which has a scan to cancel first."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

_NUMBERS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: What a shell adds to a signal's number to make an exit code of it.
_SHELL_BASE: Final = 128


@dataclass(slots=True)
class Interrupts:
    """What came while signals were held."""

    #: The first signal; 0 for none.
    number: int = 0
    count: int = 0

    @property
    def exit_code(self) -> int:
        """The exit code that the first signal stands for."""
        return _SHELL_BASE + self.number

    @contextmanager
    def held(self) -> Iterator[None]:
        """Note signals in this block, and let none of them end what it does."""
        before = {number: signal.signal(number, self._note) for number in _NUMBERS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = self.number or number
        self.count += 1
