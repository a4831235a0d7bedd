"""The figures of a run, as lines."""

from collections import Counter
from collections.abc import Sequence
from statistics import median

from tests.chaos.checks import Found
from tests.chaos.fleet import Fleet
from tests.chaos.recovery import Recovery

#: What a worker's log says when something happened that no fault explains by itself.
_ODD = ("Traceback", "task.failed", "role.crashed", "role.killed")


def of_scans(found: Found, seconds: float) -> list[str]:
    """Return how scans ended, and in how many attempts."""
    states = Counter(row["state"] for row in found.scans.values())
    outcomes = Counter(row["outcome"] for row in found.scans.values())
    attempts = Counter(row["attempt"] for row in found.scans.values())
    return [
        f"  scans: {len(found.scans)} in {seconds:.0f} s, {_listed(states)}",
        f"  outcomes: {_listed(outcomes)}",
        f"  attempts per scan: {', '.join(f'{k}: {n}' for k, n in sorted(attempts.items()))}",
    ]


def of_faults(counts: Counter[str], chaos_s: float) -> str:
    """Return the number of faults of each kind."""
    total = sum(counts.values())
    every = chaos_s / total if total else 0.0
    return f"  faults: {total}, one every {every:.1f} s: {_listed(counts)}"


def of_recovery(found: Sequence[Recovery]) -> str:
    """Return how long scans waited after their worker was killed."""
    if not found:
        return "  recovery from a killed worker: no scan was hit"
    worst = found[-1]
    return (
        f"  recovery from a killed worker: median {median(each.seconds for each in found):.1f} s, "
        f"worst {worst.seconds:.1f} s, {len(found)} times (the worst: {worst.scan_id}, killed at "
        f"{worst.killed_at:%H:%M:%S})"
    )


def of_logs(fleet: Fleet) -> str:
    """Count the lines of the workers' logs that need attention."""
    counts: Counter[str] = Counter()
    for tree in fleet.trees:
        text = tree.log.read_text(encoding="utf-8", errors="replace") if tree.starts else ""
        for odd in _ODD:
            counts[odd] += text.count(odd)
    starts = " and ".join(str(tree.starts) for tree in fleet.trees)
    return f"  workers' logs: {_listed(counts)}; trees started {starts} times"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common() if count) or "none"
