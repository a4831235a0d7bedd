"""The rate limit: how many bytes may be read per second."""

from worker.egress.gateway.traffic.rate_limit import RateLimit

_RATE = 1_000_000


class _Clock:
    """A clock that a test advances."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_bucket_is_full_at_first_and_then_fills_at_the_rate() -> None:
    """A quarter of a second's bytes at once, then none, and from then on the rate."""
    clock = _Clock()
    pace = RateLimit(_RATE, clock)
    assert (pace.available(), pace.wait_s()) == (250_000, 0.0)
    pace.take(250_000)
    assert pace.available() == 0
    clock.now_s += 0.1
    assert round(pace.available(), -1) == 100_000


def test_no_more_is_saved_than_the_bucket_holds() -> None:
    """After an hour of silence, a sandbox may still send only one bucket at once."""
    clock = _Clock()
    pace = RateLimit(_RATE, clock)
    pace.take(250_000)
    clock.now_s += 3_600
    assert pace.available() == 250_000


def test_a_debt_is_paid_before_anything_is_read() -> None:
    """A reader that took more tokens than available waits for the difference."""
    clock = _Clock()
    pace = RateLimit(_RATE, clock)
    pace.take(1_250_000)
    wait_s = pace.wait_s()
    assert 1.0 < wait_s < 1.01
    clock.now_s += wait_s - 0.002
    assert pace.available() == 0
    clock.now_s += 0.003
    assert pace.available() > 0


def test_the_wait_is_as_long_as_needed_at_the_slowest_rate() -> None:
    """One byte per second: one byte, then a wait of one second."""
    clock = _Clock()
    pace = RateLimit(1, clock)
    assert pace.available() == 1
    pace.take(1)
    assert pace.wait_s() == 1.0
    clock.now_s += 1.0
    assert pace.available() == 1


def test_a_clock_that_is_set_back_gives_nothing_away() -> None:
    """No tokens are gained, and the bucket fills again from then on."""
    clock = _Clock()
    pace = RateLimit(_RATE, clock)
    pace.take(250_000)
    clock.now_s -= 5
    assert pace.available() == 0
    clock.now_s += 6
    assert pace.available() > 0
