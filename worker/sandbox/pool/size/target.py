"""How many sandboxes the pool keeps ready: a pure function of the demand and of the host."""

import math
from dataclasses import dataclass
from typing import Final

#: An idle pool keeps one, so that a single scan finds it.
FLOOR: Final = 1
#: The demand of so many seconds is kept ready, and twice its square root for its variation: while
#: a sandbox is being started, that many others are claimed.
_LEAD_S: Final = 1.5
#: At most so many for each scan that runs at a time. While a scan runs, and its container is being
#: removed, its place is taken; so more are never claimed before the pool is refilled.
_PER_SLOT: Final = 2
#: A pool that needs less loses one sandbox in this time: demand comes in waves.
SHRINK_S: Final = 10.0
#: What a sandbox that waits needs of the host, with its gateway process, its anchor and both shims.
MEMBER_MB: Final = 40
#: The pool uses no more than this share of the memory that is available.
_MEMORY_SHARE: Final = 0.25
#: With less than this available, or with more than this share of time in which all tasks wait for
#: memory (percent, `full avg10` of /proc/pressure/memory), the pool is drained.
_MIN_AVAILABLE_MB: Final = 256
_MAX_PRESSURE: Final = 10.0
#: How many anchors are kept besides those of members and of sandboxes that run.
_SPARE_ANCHORS: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the size depends on."""

    #: POOL_SIZE as a number; None for `auto`.
    wanted: int | None
    #: Claims in the last 10 and in the last 60 seconds, also those that found no sandbox.
    claims_10s: int
    claims_60s: int
    #: The last target, and the seconds since it was lowered.
    previous: int
    since_lowered_s: float
    #: Scans that this host runs at the same time.
    concurrency: int
    #: User ids for sandboxes.
    uids: int
    #: Sandboxes that are ready or being started.
    size: int
    available_mb: int
    pressure: float


def target_size(now: Situation) -> int:
    """Return how many sandboxes to keep ready."""
    if now.available_mb < _MIN_AVAILABLE_MB or now.pressure > _MAX_PRESSURE:
        return 0
    # Those that exist are no longer part of the memory that is available. The new ones leave so
    # much that they are not drained at once.
    spare_mb = min(int(now.available_mb * _MEMORY_SHARE), now.available_mb - _MIN_AVAILABLE_MB)
    possible = now.size + spare_mb // MEMBER_MB
    # Each running scan has a user id, too.
    most = max(0, min(possible, now.uids - now.concurrency))
    if now.wanted is not None:
        return min(now.wanted, most)
    needed = _needed(now)
    if needed < now.previous:
        needed = now.previous - (now.since_lowered_s >= SHRINK_S)
    return min(needed, most)


def needed_anchors(*, target: int, members: int, running: int) -> int:
    """Return how many anchors to keep, for a target, existing members, and running sandboxes.

    Members that were claimed a moment ago are replaced at once. So the anchors of the whole target
    are kept while a burst has used up the members: a new one costs as much CPU time as a sandbox.
    """
    return max(target, members) + running + _SPARE_ANCHORS if target else 0


def _needed(now: Situation) -> int:
    per_second = max(now.claims_10s / 10, now.claims_60s / 60)
    lead = per_second * _LEAD_S
    needed = FLOOR + math.ceil(lead + 2 * math.sqrt(lead))
    return min(needed, max(FLOOR, _PER_SLOT * now.concurrency))
