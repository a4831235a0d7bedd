"""Trouble that lasts is told less and less often, so that no log fills the disk with it."""

from dataclasses import dataclass

#: The same words are told again after so long, then after twice as long, up to the last.
_FIRST_GAP_S = 5.0
_LAST_GAP_S = 300.0
#: Words to remember; who fails in more ways than these is told of each.
_MOST = 64


@dataclass(slots=True)
class _Told:
    next_s: float
    gap_s: float
    #: When the words were last to be said, told or not.
    last_s: float


class Said:
    """What was said of late, whoever said it."""

    def __init__(self) -> None:
        """Nothing was."""
        self._told: dict[str, _Told] = {}

    def is_due(self, words: str, now_s: float) -> bool:
        """Tell whether the words are to be told now; once they stay away, they are new again."""
        told = self._told.get(words)
        if told is None or now_s - told.last_s > max(told.gap_s, _LAST_GAP_S / 10):
            if len(self._told) >= _MOST:
                self._told.clear()
            self._told[words] = _Told(now_s + _FIRST_GAP_S, _FIRST_GAP_S, now_s)
            return True
        told.last_s = now_s
        if now_s < told.next_s:
            return False
        told.gap_s = min(_LAST_GAP_S, told.gap_s * 2)
        told.next_s = now_s + told.gap_s
        return True
