"""The same bytes in different packets, and a connection that delivers them."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

#: The first bytes of an input say where it is cut.
CUTS = 4
#: As much as one read of the fetcher takes.
_MOST = 64 * 1024


class Packets:
    """Replaces a socket whose peer sends these pieces and then closes."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        """Begin before the first piece."""
        self._left = iter([piece for piece in pieces if piece])

    def settimeout(self, seconds: float) -> None:
        """Accept the time limit, which is never reached here."""

    def sendall(self, wire: bytes) -> None:
        """Accept the sent bytes."""

    def recv(self, size: int) -> bytes:
        """Return the next piece, nothing at the end."""
        piece = next(self._left, b"")
        assert len(piece) <= size
        return piece


def splits(cuts: bytes, wire: bytes) -> Iterator[list[bytes]]:
    """Yield the bytes in the fewest pieces, each byte alone, and cut as the input says."""
    yield [wire[n : n + _MOST] for n in range(0, len(wire), _MOST)]
    yield [wire[n : n + 1] for n in range(len(wire))]
    ends = sorted({0, len(wire), *(cut * len(wire) // 256 for cut in cuts)})
    yield [wire[a:b] for a, b in pairwise(ends) if b - a <= _MOST]
