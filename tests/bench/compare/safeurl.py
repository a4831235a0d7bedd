"""SafeURL itself: as many scans as it can, some of them below that, a burst, and at rest."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.bench.compare.installation import Finished, Installation, good, has_pool, running
from tests.bench.compare.lab import RUN_UP, Lab, Sample, sustained
from tests.bench.compare.processes import pss_bytes, with_sandboxes

#: Scans before the measurement: the first ones pay for caches of the engine.
_FIRST = 3
_MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class SafeUrl:
    """A worker with its default concurrency; all scans are submitted at once."""

    #: Its POOL_SIZE.
    pool: str
    parallel: int

    @property
    def word(self) -> str:
        """Return `warm` or `cold`."""
        return "cold" if self.pool == "0" else "warm"

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"SafeURL {self.word}, concurrency {self.parallel}"

    @property
    def _least_ready(self) -> int:
        # The smallest pool keeps one sandbox ready.
        return int(has_pool() and self.word == "warm")

    def run(self, lab: Lab, scans: int) -> Sample:
        """Scan the page so many times; refilling the pool afterwards counts as CPU time, too."""
        with running(lab, pool=self.pool) as made:
            # The pool grows with its first burst, and no scan is to pay for that.
            made.scan(RUN_UP + self.parallel if self._least_ready else _FIRST)
            made.wait_quiet(self._least_ready)
            ready = made.containers().ready
            with lab.meter.watch(made.cpu_s) as cpu:
                sample = _timed(lambda: made.scan(scans))
                made.wait_quiet()
            sample.grown = made.containers().ready - ready
        sample.cpu = cpu
        return sample

    def below_capacity(self, lab: Lab, plan: "SteadyPlan") -> "Steady":
        """Scan at a rate that it can keep up with, then a burst; before it, measure its rest."""
        with running(lab, pool=self.pool) as made:
            made.wait_quiet(self._least_ready)
            rest = _rest(lab, made, plan.idle_s)
            if self._least_ready:
                made.scan_at_rate(plan.per_second, plan.ramp_s, is_random=plan.is_random)
            with lab.meter.watch(made.cpu_s) as cpu:
                sample = _timed(
                    lambda: made.scan_at_rate(
                        plan.per_second, plan.seconds, is_random=plan.is_random
                    )
                )
            sample.cpu = cpu
            if not self._least_ready:
                return Steady(sample, rest, plan.per_second)
            made.wait_quiet()
            ready = made.containers().ready
            made.scan(plan.burst)
            refill_s = made.wait_quiet(least_ready=ready)
            return Steady(sample, rest, plan.per_second, ready, refill_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class SteadyPlan:
    """How to measure below the capacity."""

    per_second: float
    seconds: float
    #: Scans of that rate before the measurement, so that the pool knows it.
    ramp_s: float
    idle_s: float
    burst: int
    #: Whether the pauses between submissions are random (exponential) or all alike.
    is_random: bool


@dataclass(frozen=True, slots=True)
class Rest:
    """The resources of an idle system."""

    #: Of all processes, with shims and sandboxes that wait.
    pss_mb: float
    ready: int
    #: All of its CPU time, the engine's for it included, as a share of one core.
    cores: float


@dataclass(frozen=True, slots=True)
class Steady:
    """What was measured below the capacity."""

    sample: Sample
    rest: Rest
    per_second: float
    #: Sandboxes that were ready before the burst, and the seconds until as many were again, from
    #: the end of the burst's last scan; None without a pool.
    ready: int | None = None
    refill_s: float | None = None


def _rest(lab: Lab, made: Installation, seconds: float) -> Rest:
    with lab.meter.watch(made.cpu_s) as cpu:
        time.sleep(seconds)
    processes = with_sandboxes(lambda: [made.worker.pid], lab.meter.known_shims)
    used = cpu.accounted if cpu.accounted is not None else cpu.client
    return Rest(pss_bytes(processes) / _MEGABYTE, made.containers().ready, used / seconds)


def _timed(scan: Callable[[], Sequence[Finished]]) -> Sample:
    started = time.perf_counter()
    finished = scan()
    took = time.perf_counter() - started
    done = good(finished)
    return Sample(
        scans=len(finished),
        lost=len(finished) - len(done),
        per_second=sustained([each.end_s for each in done]),
        latencies_ms=[each.latency_ms for each in done],
        took_s=took,
        warm=sum(each.is_warm for each in finished) if has_pool() else None,
        overheads_ms=[each.overhead_ms for each in done],
    )
