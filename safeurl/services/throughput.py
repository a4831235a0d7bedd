"""What bounds the throughput of a host, from stored attempts and facts about it. No input here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from types import MappingProxyType
from typing import Final

from safeurl.model.attempt import Attempt
from safeurl.model.worker import WorkerHeartbeat
from safeurl.printable import counted
from safeurl.services.phase_figures import (
    PathFigures,
    held_ms,
    is_complete,
    is_measured,
    percentile,
    total_ms,
)

#: A median wait for a worker that is longer than this, and than such a share of the whole, shows
#: that scans come faster than they end.
LONG_WAKE_MS = 100.0
LONG_WAKE_SHARE = 0.2
#: From this share of all slots on, workers are taken for fully used: slots are also free for a
#: moment between two scans.
FULL = 0.8
#: From this load for each processor on, processors are taken for busy.
BUSY_LOAD = 0.9
#: More cold starts than this share are worth a word where a pool is used.
MANY_COLD = 0.05

#: What to change where a phase is the longest one.
_ADVICE: Final = MappingProxyType(
    {
        "push": "The database or Redis takes long to record scans: see the disk of the state "
        "folder, or the way to TURSO_CONNECTION_URL and REDIS_URL.",
        "wake": "Scans wait for a free worker.",
        "dispatch": "Starting processes takes long: the processors are busy. A lower "
        "WORKER_CONCURRENCY makes each scan faster; another host makes all faster.",
        "claim": "The database takes long to write: see the disk of the state folder and "
        "SQLITE_SYNCHRONOUS, or the way to TURSO_CONNECTION_URL.",
        "prepare": "Starting a container takes long. Docker's processors and disk set its time, "
        "and how many start at once: WORKER_CONCURRENCY. A sandbox of the pool (POOL_SIZE) is "
        "started before its scan comes.",
        "bind": "The egress gateway takes long: the processors are busy, or sandboxes open many "
        "connections.",
        "fetch": "It is the page, its server and the network. More scans at a time help while "
        "processors are free: WORKER_CONCURRENCY.",
        "close": "The egress gateway takes long: the processors are busy, or sandboxes open many "
        "connections.",
        "store": "The database or the artefacts' disk takes long to write: see the disk of the "
        "state folder and SQLITE_SYNCHRONOUS, or the way to TURSO_CONNECTION_URL.",
        "analyse": "Pages are large or deep. MAX_BODY_MB limits them.",
        "other": "Time passes between the phases: the processors are busy, or clocks of hosts "
        "differ.",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What this host has now, and how it is set up."""

    name: str
    #: Processors that this process may use.
    processors: int
    #: Processes that run or wait for a processor, on average over the last minute.
    load: float
    available_memory_bytes: int
    #: WORKER_CONCURRENCY, for the case that no worker runs.
    concurrency: int
    #: POOL_SIZE; None where no pool is possible.
    pool_size: str | None

    @property
    def is_busy(self) -> bool:
        """True if there are about as many runnable processes as processors."""
        return self.load >= BUSY_LOAD * self.processors


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How many scans a second one part of the host allows, if nothing else limits them."""

    #: `workers`, `processors` or `memory`.
    part: str
    scans_per_s: float
    #: How the number comes about.
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the figures show, and what to change."""

    #: `workers`, `processors`, `pool`, `load` or a phase.
    part: str
    text: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """What the attempts and the host's facts say about throughput."""

    #: Scans that ended in a second, over the whole time of the attempts.
    scans_per_s: float
    #: How many attempts ran at a time, on average.
    at_once: float
    #: How many may run at a time: of the workers that live, else by the settings.
    slots: int
    limits: tuple[Limit, ...]
    findings: tuple[Finding, ...]


def throughput(
    attempts: Sequence[Attempt],
    figures: PathFigures,
    workers: Sequence[WorkerHeartbeat],
    host: HostFacts,
) -> Throughput | None:
    """Return what bounds the throughput; None without attempts that went the whole way."""
    whole = [attempt for attempt in attempts if is_complete(attempt)]
    if figures.first_at is None or figures.last_at is None:
        return None
    # By a clock that was set back, the last end may be before the first claim.
    longest_s = max(map(held_ms, whole)) / 1000
    window_s = max((figures.last_at - figures.first_at).total_seconds(), longest_s, 0.001)
    slots = sum(worker.concurrency for worker in workers) or host.concurrency
    # Failed attempts occupied workers too.
    at_once = sum(_held_s(each) for each in attempts if is_measured(each)) / window_s
    # There are no facts about other hosts.
    here = host if {worker.host for worker in workers} <= {host.name} else None
    limits = sorted(_limits(whole, slots, here), key=lambda limit: limit.scans_per_s)
    findings = (
        *_load(whole, at_once, slots, here),
        *_cold(figures, host.pool_size),
        *_longest(figures),
    )
    return Throughput(
        scans_per_s=len(whole) / window_s,
        at_once=at_once,
        slots=slots,
        limits=tuple(limits),
        findings=findings,
    )


def _held_s(attempt: Attempt) -> float:
    """Return how long the attempt occupied a worker, without the removal of its sandbox."""
    return (total_ms(attempt) - (attempt.push_ms or 0) - (attempt.wake_ms or 0)) / 1000


def _limits(attempts: Sequence[Attempt], slots: int, host: HostFacts | None) -> Iterator[Limit]:
    held_s = fmean(map(_held_s, attempts))
    if held_s > 0:
        basis = f"{counted(slots, 'scan')} at a time, {held_s * 1000:.0f} ms each"
        yield Limit(part="workers", scans_per_s=slots / held_s, basis=basis)
    if host is None:
        return
    cpu_ms = [attempt.cpu_ms for attempt in attempts if attempt.cpu_ms]
    if cpu_ms:
        mean_ms = fmean(cpu_ms)
        yield Limit(
            part="processors",
            scans_per_s=host.processors * 1000 / mean_ms,
            basis=f"{counted(host.processors, 'processor')}, {mean_ms:.0f} ms of one for each "
            "sandbox; what Docker and SafeURL use comes on top",
        )
    peaks = [attempt.peak_memory_bytes for attempt in attempts if attempt.peak_memory_bytes]
    if peaks and held_s > 0:
        at_once = host.available_memory_bytes / fmean(peaks)
        yield Limit(
            part="memory",
            scans_per_s=at_once / held_s,
            basis=f"free memory for {at_once:.0f} sandboxes at a time",
        )


def _load(
    attempts: Sequence[Attempt], at_once: float, slots: int, host: HostFacts | None
) -> Iterator[Finding]:
    wakes = [attempt.wake_ms for attempt in attempts if attempt.wake_ms is not None]
    wake_ms = percentile(wakes, 50) if wakes else 0.0
    share = wake_ms / max(percentile(map(total_ms, attempts), 50), 0.001)
    waits = f"Half of the scans waited {wake_ms:.0f} ms or longer for a worker"
    if wake_ms < LONG_WAKE_MS or share < LONG_WAKE_SHARE:
        yield Finding(
            part="load",
            text=f"Nothing bounds the throughput: a scan waits {wake_ms:.1f} ms (median) for a "
            "worker.",
            advice="More scans can be submitted.",
        )
    elif at_once < FULL * slots:
        yield Finding(
            part="load",
            text=f"{waits}, but only {at_once:.1f} of {slots} ran at a time: they "
            "came all at once, or workers were stopped meanwhile.",
            advice="A burst ends sooner with a higher WORKER_CONCURRENCY while processors are "
            "free, or with workers on more hosts.",
        )
    elif host is not None and host.is_busy:
        yield Finding(
            part="processors",
            text=f"{waits}; all workers were busy, and so are the processors: the load is "
            f"{host.load:.1f} on {counted(host.processors, 'processor')}.",
            advice="Run `safeurl worker` on more hosts. A higher WORKER_CONCURRENCY would only "
            "make each scan slower.",
        )
    else:
        yield Finding(
            part="workers",
            text=f"{waits}; all workers were busy.",
            advice=f"Raise WORKER_CONCURRENCY (together {slots} now), or run "
            "`safeurl worker` on more hosts.",
        )


def _cold(figures: PathFigures, pool_size: str | None) -> Iterator[Finding]:
    counts = {kind.start_kind: kind.attempts for kind in figures.kinds}
    cold = counts.get("cold", 0)
    if pool_size is None or cold <= MANY_COLD * figures.attempts:
        return
    text = f"{cold / figures.attempts:.0%} of the sandboxes were started cold"
    if pool_size == "0":
        yield Finding(
            part="pool",
            text=f"{text}: there is no pool now (POOL_SIZE=0).",
            advice="With POOL_SIZE=auto, scans do not wait for the start of a container.",
        )
    elif counts.get("warm"):
        yield Finding(
            part="pool",
            text=f"{text}: the pool was empty (POOL_SIZE={pool_size}).",
            advice="A higher number in POOL_SIZE keeps more sandboxes ready, if there is memory.",
        )
    else:
        yield Finding(
            part="pool",
            text=f"{text}: no pool was ready (POOL_SIZE={pool_size}).",
            advice="`safeurl status` shows the pool, and the log of the worker what it lacks.",
        )


def _longest(figures: PathFigures) -> Iterator[Finding]:
    for kind in figures.kinds:
        longest = max(kind.phases, key=lambda phase: phase.share)
        yield Finding(
            part=longest.phase,
            text=f"The longest phase of a {kind.start_kind} start is `{longest.phase}`: "
            f"{longest.share:.0%} of the time.",
            advice=_ADVICE[longest.phase],
        )
