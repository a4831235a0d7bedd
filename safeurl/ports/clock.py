"""The clock that parts are handed, and how far two clocks may be apart."""

from collections.abc import Callable
from datetime import datetime, timedelta

Clock = Callable[[], datetime]


#: How far the clocks of two hosts may be apart. What lies further ahead than that was written
#: before a clock was set back.
CLOCK_SKEW = timedelta(seconds=5)
