"""The longer a scan does not change, the less often the database is read."""

from dataclasses import replace
from itertools import pairwise

import pytest

from safeurl.cli.view.screen import Screen
from safeurl.cli.view.watch import pause_s, watch
from safeurl.model.scan import Scan
from safeurl.service import Service
from safeurl.state import State
from tests.support.rescue import World


class _Slow:
    """A service whose scan moves at given times, and a clock that pauses alone move."""

    def __init__(self, scan: Scan, moves: dict[float, State]) -> None:
        self._scan = scan
        self._moves = moves
        self.now = 0.0
        self.asked: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def scan(self, _scan_id: str) -> Scan:
        self.asked.append(self.now)
        for at, state in self._moves.items():
            if self.now >= at:
                self._scan = replace(self._scan, state=state)
        return self._scan


async def _watched(
    moves: dict[float, State], *, remote: bool, timeout_s: float | None = None
) -> tuple[_Slow, Scan]:
    slow = _Slow(await World().add(), moves)
    # All that is asked of a service is the scan.
    service: Service = slow  # type: ignore[assignment]
    seen = await watch(
        service,
        "id",
        Screen(),
        remote=remote,
        timeout_s=timeout_s,
        clock=slow.clock,
        sleep=slow.sleep,
    )
    return slow, seen


@pytest.mark.parametrize(("remote", "most"), [(False, 150), (True, 60)])
async def test_a_long_wait_asks_seldom(*, remote: bool, most: int) -> None:
    """In a hundred seconds that were two thousand questions."""
    slow, seen = await _watched({100.0: State.COMPLETED}, remote=remote)
    assert seen.state is State.COMPLETED
    assert 10 < len(slow.asked) < most
    gaps = [later - earlier for earlier, later in pairwise(slow.asked)]
    longest = 5.0 if remote else 1.0
    assert max(gaps) < longest + 0.2
    assert gaps[-2] > gaps[1]


async def test_a_change_is_followed_closely_again() -> None:
    """A scan that starts after a long wait usually ends soon."""
    moves = {60.0: State.FETCHING, 62.0: State.COMPLETED}
    slow, _ = await _watched(moves, remote=False)
    taken = next(at for at in slow.asked if at >= 60.0)
    close = [at for at in slow.asked if taken < at < taken + 0.5]
    assert len(close) >= 5


async def test_the_last_state_is_returned_when_the_time_is_over() -> None:
    """The scan is read once more, although the next read was not due."""
    slow, seen = await _watched({29.0: State.FETCHING}, remote=True, timeout_s=30.0)
    assert seen.state is State.FETCHING
    assert slow.asked[-1] >= 30.0


@pytest.mark.parametrize(
    ("waited_s", "remote", "pause"),
    [
        *((0.0, False, 0.05), (5.0, False, 0.5), (9999.0, False, 1.0)),
        *((0.0, True, 0.25), (20.0, True, 2.0), (9999.0, True, 5.0)),
    ],
)
def test_pauses_grow_up_to_a_bound(waited_s: float, *, remote: bool, pause: float) -> None:
    """A remote database is read less often than one on this host."""
    assert pause_s(waited_s, remote=remote) == pytest.approx(pause)
