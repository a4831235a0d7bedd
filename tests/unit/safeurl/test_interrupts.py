"""The signals that were recorded while they were held."""

import os
import signal
from collections.abc import Iterator
from functools import partial

import pytest

from safeurl.cli.interrupts import SIGNALS, Interrupts


@pytest.fixture
def told() -> Iterator[Interrupts]:
    """Hold the signals of this process for the test."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    held = Interrupts()
    held.hold()
    yield held
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ([signal.SIGINT], 130),
        ([signal.SIGTERM, signal.SIGINT], 143),
        ([signal.SIGHUP, signal.SIGTERM, signal.SIGHUP], 129),
    ],
)
def test_the_first_signal_tells_the_exit_code(
    told: Interrupts, sent: list[signal.Signals], code: int
) -> None:
    """The other signals are counted, and none of them ends the process."""
    for number in sent:
        os.kill(os.getpid(), number)
    assert (told.exit_code, told.count) == (code, len(sent))


@pytest.mark.parametrize(
    ("at_s", "distinct"),
    [([0.0], 1), ([0.0, 0.1], 1), ([0.0, 0.6], 2), ([0.0, 0.4, 0.8], 1), ([0.0, 0.6, 1.2], 3)],
)
def test_signals_in_a_row_may_be_one(told: Interrupts, at_s: list[float], distinct: int) -> None:
    """Only signals with a pause between them certainly differ."""
    for seconds in at_s:
        told.monotonic = partial(float, 1000.0 + seconds)
        os.kill(os.getpid(), signal.SIGINT)
    assert told.distinct == distinct


def test_without_a_signal_nothing_is_told(told: Interrupts) -> None:
    """An undisturbed scan ends so."""
    assert (told.number, told.count, told.distinct) == (0, 0, 0)
