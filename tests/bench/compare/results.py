"""The figures of one run: medians over the rounds, and SafeURL's as ratios of its rivals'."""

from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from tests.bench.compare.accounting import Usage
from tests.bench.compare.lab import Sample, p50_p95
from tests.bench.compare.safeurl import Steady

#: What a row stands for.
WARM, COLD, LOOP, TUTORIAL, FLOOR = "warm", "cold", "loop", "tutorial", "floor"


@dataclass(slots=True)
class Row:
    """One way at one number of scans at a time, over all rounds."""

    kind: str
    name: str
    parallel: int
    samples: list[Sample] = field(default_factory=list)
    #: Of a run in which memory was sampled and nothing else counts.
    memory: Usage | None = None

    @property
    def rates(self) -> list[float]:
        """Scans per second of each round."""
        return [sample.per_second for sample in self.samples]

    @property
    def per_second(self) -> float:
        """The median rate."""
        return median(self.rates)

    @property
    def latency_ms(self) -> tuple[float, float]:
        """The 50th and the 95th percentile of all scans of all rounds."""
        return p50_p95([each for sample in self.samples for each in sample.latencies_ms])

    @property
    def lost(self) -> int:
        """Scans without a report, in all rounds."""
        return sum(sample.lost for sample in self.samples)

    @property
    def cpu_ms(self) -> float | None:
        """The median of the CPU milliseconds per scan that are accounted for."""
        used = [
            sample.cpu.accounted / sample.scans * 1000
            for sample in self.samples
            if sample.cpu is not None and sample.cpu.accounted is not None
        ]
        return median(used) if used else None

    @property
    def machine_cpu_ms(self) -> float:
        """The same for the whole machine."""
        return median(
            sample.cpu.machine / sample.scans * 1000 for sample in self.samples if sample.cpu
        )

    def part_ms(self, part: str) -> float | None:
        """Return the median of one part of the CPU milliseconds per scan."""
        used = [
            value / sample.scans * 1000
            for sample in self.samples
            if sample.cpu is not None and (value := getattr(sample.cpu, part)) is not None
        ]
        return median(used) if used else None

    @property
    def memory_mb(self) -> tuple[float, float] | None:
        """The memory at rest, and what each scan adds to it at the peak."""
        used = self.memory
        if used is None or used.idle_mb is None or used.peak_mb is None:
            return None
        return used.idle_mb, (used.peak_mb - used.idle_mb) / self.parallel


@dataclass(slots=True)
class Table:
    """All that was measured under one runtime."""

    runtime: str
    rows: list[Row] = field(default_factory=list)
    #: By kind: SafeURL below its capacity.
    steady: dict[str, Steady] = field(default_factory=dict)
    #: What could not be measured, and why.
    left_out: list[str] = field(default_factory=list)

    def of(self, kind: str) -> list[Row]:
        """Return the rows of a kind."""
        return [row for row in self.rows if row.kind == kind and row.samples]

    def best(self, kind: str) -> Row | None:
        """Return the row of a kind that did the most scans per second."""
        return max(self.of(kind), key=lambda row: row.per_second, default=None)

    def single(self, kind: str) -> Row | None:
        """Return the row of a kind that did one scan at a time."""
        return next((row for row in self.of(kind) if row.parallel == 1), None)

    def ratios(self) -> list[tuple[str, float | None]]:
        """Return SafeURL's figures as parts or multiples of the rivals'; None for no rival."""
        ours = self.best(WARM) or self.best(COLD)
        if ours is None:
            return []
        steady = self.steady.get(ours.kind)
        found: list[tuple[str, float | None]] = []
        for kind, name in ((LOOP, "shell loop"), (TUTORIAL, "tutorial")):
            best, single = self.best(kind), self.single(kind)
            if best:
                found.append(
                    (f"throughput, times the best {name}", ours.per_second / best.per_second)
                )
                found.append(
                    (f"CPU per scan, part of that {name}'s", _part(ours.cpu_ms, best.cpu_ms))
                )
            if single and steady:
                mine, theirs = p50_p95(steady.sample.latencies_ms), single.latency_ms
                found.append((f"p50 below capacity, part of one {name} turn", mine[0] / theirs[0]))
                found.append((f"p95 below capacity, part of one {name} turn", mine[1] / theirs[1]))
        return found

    def as_json(self) -> dict[str, Any]:
        """Return everything, the single samples included."""
        return {
            "runtime": self.runtime,
            "rows": [_row_json(row) for row in self.rows if row.samples],
            "steady": {kind: asdict(each) for kind, each in self.steady.items()},
            "ratios": dict(self.ratios()),
            "left_out": self.left_out,
        }


def _part(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or not theirs else ours / theirs


def _row_json(row: Row) -> dict[str, Any]:
    p50, p95 = row.latency_ms
    figures = {"per_second": row.per_second, "p50_ms": p50, "p95_ms": p95, "cpu_ms": row.cpu_ms}
    return asdict(row) | figures | {"machine_cpu_ms": row.machine_cpu_ms}
