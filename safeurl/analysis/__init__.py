"""Rules that turn stored evidence into a verdict: pure, offline, deterministic, versioned.

`judge` is all that callers need; `preload` reads the tables before a worker forks.
"""

from safeurl.analysis.judging import inconclusive, judge, preload
from safeurl.analysis.rules import CORE

__all__ = ["CORE", "inconclusive", "judge", "preload"]
