"""A limit on repeated log lines, so that a fault that lasts does not fill the disk with its log."""

from dataclasses import dataclass
from typing import Final

#: A line is logged again after this time, then after twice as long, up to the last.
_FIRST_GAP_S: Final = 5.0
_LAST_GAP_S: Final = 300.0
#: Lines to remember. More than this at a time differ in a counter or an id, and all are logged.
_MAX_LINES: Final = 64


@dataclass(slots=True)
class _Line:
    #: When the line is logged next, and the pause that comes after that.
    next_s: float
    gap_s: float
    #: When the line last came up, logged or not.
    last_s: float


class LogLimit:
    """Decides which repeated lines are logged; shared by all that may log the same line."""

    def __init__(self) -> None:
        """Start with no line known."""
        self._lines: dict[str, _Line] = {}

    def is_due(self, line: str, now_s: float) -> bool:
        """Return True if the line is to be logged now; one that stayed away for long is new again.

        `now_s` is the time of any clock that is never set back.
        """
        known = self._lines.get(line)
        if known is None or now_s - known.last_s > max(known.gap_s, _LAST_GAP_S / 10):
            if len(self._lines) >= _MAX_LINES:
                self._lines.clear()
            self._lines[line] = _Line(now_s + _FIRST_GAP_S, _FIRST_GAP_S, now_s)
            return True
        known.last_s = now_s
        if now_s < known.next_s:
            return False
        known.gap_s = min(_LAST_GAP_S, known.gap_s * 2)
        known.next_s = now_s + known.gap_s
        return True
