"""The type of a clock, and the allowed difference between two clocks."""

from collections.abc import Callable
from datetime import datetime, timedelta

Clock = Callable[[], datetime]


#: The allowed difference between the clocks of two hosts. A time further in the future was written
#: before a clock was set back.
CLOCK_SKEW = timedelta(seconds=5)
