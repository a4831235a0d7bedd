"""From stored attempts to figures: how long each phase takes, warm and cold. No input or output."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from safeurl.model.attempt import PHASES, Attempt

#: The time between the phases, which begin and end in several processes.
OTHER = "other"
#: The phases between `started_at` and `ended_at`. One monotonic clock has measured them.
_HELD = ("claim", "prepare", "bind", "fetch", "close", "store", "analyse")
#: About three years: a longer time is not one that SafeURL has measured.
_LONGEST_MS = 1e11


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseFigure:
    """How long one phase took in many attempts."""

    phase: str
    #: The median and the 95th percentile.
    p50_ms: float
    p95_ms: float
    #: Its part of the time of all these attempts, from 0 to 1.
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFigures:
    """The figures of the attempts whose sandboxes were started alike."""

    #: `cold` or `warm`.
    start_kind: str
    attempts: int
    #: From the submission, or the end of the pause before a retry, to the final write.
    total: PhaseFigure
    #: In their order; those that no attempt had are left out. The last one is `other`.
    phases: tuple[PhaseFigure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PathFigures:
    """The figures of complete attempts, which have all phases from submission to conclusion."""

    attempts: int
    #: Attempts of the same time without all phases: no page, a failure, or of an older version.
    left_out: int
    #: The time of the first claim, and of the last end; None without attempts.
    first_at: datetime | None
    last_at: datetime | None
    #: Warm before cold; a kind without attempts is left out.
    kinds: tuple[StartFigures, ...]


def is_complete(attempt: Attempt) -> bool:
    """Return whether the attempt has concluded its scan and its phases are known."""
    known = (attempt.start_kind, attempt.claim_ms, attempt.fetch_ms, attempt.analyse_ms)
    return attempt.ended_at is not None and None not in known and is_measured(attempt)


def is_measured(attempt: Attempt) -> bool:
    """Return whether the times can be true; those of a damaged row may be infinite."""
    times = (attempt.cpu_ms, *(phase_ms(attempt, phase) for phase in PHASES))
    return all(0 <= ms <= _LONGEST_MS for ms in times if ms is not None)


def total_ms(attempt: Attempt) -> float:
    """Return the time of an ended attempt, with the time that its scan waited before the claim."""
    waited = (attempt.push_ms, attempt.wake_ms, attempt.dispatch_ms)
    return sum(each or 0.0 for each in waited) + held_ms(attempt)


def held_ms(attempt: Attempt) -> float:
    """Return the time from the claim to the end.

    It is not shorter than its phases, also if the host's clock was set back during the attempt.
    """
    held = (attempt.ended_at or attempt.started_at) - attempt.started_at
    measured_ms = sum(phase_ms(attempt, phase) or 0.0 for phase in _HELD)
    return max(held.total_seconds() * 1000, measured_ms)


def path_figures(attempts: Sequence[Attempt]) -> PathFigures:
    """Return the figures of the complete attempts."""
    whole = [attempt for attempt in attempts if is_complete(attempt)]
    by_kind = {
        kind: [attempt for attempt in whole if attempt.start_kind == kind]
        for kind in ("warm", "cold")
    }
    return PathFigures(
        attempts=len(whole),
        left_out=len(attempts) - len(whole),
        first_at=min((attempt.started_at for attempt in whole), default=None),
        last_at=max((attempt.ended_at for attempt in whole if attempt.ended_at), default=None),
        kinds=tuple(_kind(kind, found) for kind, found in by_kind.items() if found),
    )


def _kind(kind: str, attempts: Sequence[Attempt]) -> StartFigures:
    totals = list(map(total_ms, attempts))
    measured = [(phase, [phase_ms(attempt, phase) for attempt in attempts]) for phase in PHASES]
    measured.append((OTHER, [_other_ms(attempt) for attempt in attempts]))
    known = [(name, [ms for ms in times if ms is not None]) for name, times in measured]
    return StartFigures(
        start_kind=kind,
        attempts=len(attempts),
        total=_figure("total", totals, sum(totals)),
        phases=tuple(_figure(name, times, sum(totals)) for name, times in known if times),
    )


def _figure(name: str, times_ms: Sequence[float], all_ms: float) -> PhaseFigure:
    return PhaseFigure(
        phase=name,
        p50_ms=percentile(times_ms, 50),
        p95_ms=percentile(times_ms, 95),
        share=sum(times_ms) / all_ms if all_ms else 0.0,
    )


def phase_ms(attempt: Attempt, phase: str) -> float | None:
    """Return how long a phase of the attempt took; None where that is not known."""
    ms: float | None = getattr(attempt, f"{phase}_ms")
    return ms


def _other_ms(attempt: Attempt) -> float:
    explained = sum(phase_ms(attempt, phase) or 0.0 for phase in PHASES)
    return max(total_ms(attempt) - explained, 0.0)


def percentile(values: Iterable[float], percent: int) -> float:
    """Return the smallest value that at least so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]
