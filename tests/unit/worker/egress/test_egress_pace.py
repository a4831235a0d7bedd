"""The pace: how many bytes may be read within a second."""

from worker.egress.gateway.traffic.pace import Pace

_RATE = 1_000_000


class _Clock:
    """A clock that stands until it is told to go on."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_bucket_is_full_at_first_and_then_fills_at_the_rate() -> None:
    """A quarter of a second's bytes at once, nothing then, and the rate from there on."""
    clock = _Clock()
    pace = Pace(_RATE, clock)
    assert (pace.most(), pace.wait_s()) == (250_000, 0.0)
    pace.spend(250_000)
    assert pace.most() == 0
    clock.now_s += 0.1
    assert round(pace.most(), -1) == 100_000


def test_no_more_is_saved_than_the_bucket_holds() -> None:
    """A sandbox that was silent for an hour has no hour's bytes to send at once."""
    clock = _Clock()
    pace = Pace(_RATE, clock)
    pace.spend(250_000)
    clock.now_s += 3_600
    assert pace.most() == 250_000


def test_a_debt_is_paid_before_anything_is_read() -> None:
    """Who read more than there was waits for as long as that takes."""
    clock = _Clock()
    pace = Pace(_RATE, clock)
    pace.spend(1_250_000)
    wait_s = pace.wait_s()
    assert 1.0 < wait_s < 1.01
    clock.now_s += wait_s - 0.002
    assert pace.most() == 0
    clock.now_s += 0.003
    assert pace.most() > 0


def test_the_wait_is_as_long_as_needed_at_the_slowest_rate() -> None:
    """One byte per second: one byte, then a second's wait."""
    clock = _Clock()
    pace = Pace(1, clock)
    assert pace.most() == 1
    pace.spend(1)
    assert pace.wait_s() == 1.0
    clock.now_s += 1.0
    assert pace.most() == 1


def test_a_clock_that_is_set_back_gives_nothing_away() -> None:
    """Nothing is gained, and the bucket fills again from then on."""
    clock = _Clock()
    pace = Pace(_RATE, clock)
    pace.spend(250_000)
    clock.now_s -= 5
    assert pace.most() == 0
    clock.now_s += 6
    assert pace.most() > 0
