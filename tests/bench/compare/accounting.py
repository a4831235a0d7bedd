"""CPU seconds and memory of everything that a scan costs: client, engine, runtime, sandbox.

Each part is read where the kernel keeps it whole: clients and daemons in their own times, sandboxes
in the engine's cgroup, shims and runtimes in the records of ended tasks. What is left out is the
work of kernel threads, such as the removal of namespaces. For that, and where a part cannot be
read, the CPU seconds of the whole machine stand beside it.
"""

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.bench.compare.processes import (
    EngineProcesses,
    cpu_of,
    find_engine,
    pss_bytes,
    shims,
    tree,
)
from tests.bench.compare.taskstats import Ended, TaskStats, open_taskstats

_V1 = Path("/sys/fs/cgroup/cpuacct")
_V2 = Path("/sys/fs/cgroup")
#: The cgroup of the engine's containers, where it manages cgroups by itself.
_CONTAINERS = "docker"
_SAMPLE_S = 0.03
_MEGABYTE = 1e6


@dataclass(slots=True, kw_only=True)
class Usage:
    """CPU seconds between two moments; the parts are None where they could not be read."""

    #: xargs, shells and `docker run`; RQ's workers; SafeURL's processes.
    client: float = 0.0
    #: dockerd and containerd, with the hooks that they run.
    engine: float | None = None
    #: Shims, and runc or runsc.
    runtime: float | None = None
    #: Everything in the containers' cgroups.
    sandbox: float | None = None
    #: All tasks of the machine, others' too.
    machine: float = 0.0
    #: This bench's own process and its page server.
    bench: float = 0.0
    elapsed: float = 0.0
    #: Memory of clients, shims and sandboxes, before and at most; None where it was not asked for.
    idle_mb: float | None = None
    peak_mb: float | None = None

    @property
    def accounted(self) -> float | None:
        """The sum of all parts but the machine's; None where one is missing."""
        if self.engine is None or self.runtime is None or self.sandbox is None:
            return None
        return self.client + self.engine + self.runtime + self.sandbox

    @property
    def others(self) -> float | None:
        """The CPU seconds of everybody else, kernel threads included."""
        known = self.accounted
        return None if known is None else max(0.0, self.machine - known - self.bench)


@dataclass(slots=True)
class Meter:
    """Reads all of it at the start and at the end of a measurement."""

    stats: TaskStats | None
    engine: EngineProcesses | None
    #: Processes of the bench that belong to no way, such as its page server.
    own_pids: set[int] = field(default_factory=set)
    #: Whether memory is sampled, too, which takes time itself.
    with_memory: bool = False
    #: Shims that lived before; they are others'.
    known_shims: frozenset[int] = field(default_factory=lambda: frozenset(shims()))
    #: Of all measurements so far.
    watched: list[Usage] = field(default_factory=list)
    #: What machines with cgroups of systemd's or without root cannot tell, for the report.
    missing: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Find out what can be read here."""
        reasons = {
            "the engine's processes": self.engine is None,
            "ended processes (taskstats)": self.stats is None,
            f"the cgroup {_CONTAINERS}": cgroup_seconds(_CONTAINERS) is None,
        }
        self.missing = tuple(name for name, is_missing in reasons.items() if is_missing)

    @contextmanager
    def watch(self, client: Callable[[], float]) -> Iterator[Usage]:
        """Fill in what was used while the block ran; `client` tells the clients' CPU seconds."""
        if self.stats:
            self.stats.take()
        usage, live = Usage(), _live_shims()
        with self._memory(usage):
            began_s, before, client_s = time.perf_counter(), self._now(), client()
            yield usage
            usage.client = client() - client_s
            after = self._now()
            usage.elapsed = time.perf_counter() - began_s
        usage.bench = after.bench - before.bench
        usage.machine = after.machine - before.machine
        if before.sandbox is not None and after.sandbox is not None:
            usage.sandbox = after.sandbox - before.sandbox
        if self.engine and self.stats:
            hooks, usage.runtime = _ended_seconds(self.stats.take(), self.engine, live)
            usage.engine = (after.engine or 0.0) - (before.engine or 0.0) + hooks
        self.watched.append(usage)

    @contextmanager
    def _memory(self, usage: Usage) -> Iterator[None]:
        """Sample the memory from a thread, where it is asked for."""
        if not self.with_memory:
            yield
            return
        usage.idle_mb = usage.peak_mb = self._memory_mb()
        ended = threading.Event()

        def sample() -> None:
            while not ended.wait(_SAMPLE_S):
                usage.peak_mb = max(usage.peak_mb or 0.0, self._memory_mb())

        sampler = threading.Thread(target=sample, daemon=True)
        sampler.start()
        try:
            yield
        finally:
            ended.set()
            sampler.join()

    def _memory_mb(self) -> float:
        children = {each.pid for each in psutil.Process().children()} - self.own_pids
        new = set(shims()) - self.known_shims
        return pss_bytes(tree([*children, *new])) / _MEGABYTE

    def _now(self) -> Usage:
        pids = self.engine.pids if self.engine else frozenset()
        return Usage(
            engine=cpu_of(pids),
            sandbox=cgroup_seconds(_CONTAINERS),
            machine=machine_seconds(),
            bench=_own_seconds() + cpu_of(self.own_pids),
        )


@contextmanager
def open_meter() -> Iterator[Meter]:
    """Open the records of ended tasks for as long as the meter is used."""
    with open_taskstats() as stats:
        yield Meter(stats, find_engine())


def cgroup_seconds(name: str) -> float | None:
    """Return the CPU seconds of a cgroup and of all that were ever below it; None without it."""
    try:
        return int((_V1 / name / "cpuacct.usage").read_text()) / 1e9
    except (OSError, ValueError):
        pass
    try:
        lines = (_V2 / name / "cpu.stat").read_text().splitlines()
        return int(dict(line.split() for line in lines)["usage_usec"]) / 1e6
    except (OSError, ValueError, KeyError):
        return None


def machine_seconds() -> float:
    """Return the CPU seconds of all tasks of this machine since it started."""
    whole = cgroup_seconds(".")
    if whole is not None:
        return whole
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system


def _live_shims() -> dict[int, float]:
    return {pid: cpu_of([pid]) for pid in shims()}


def _ended_seconds(
    ended: list[Ended], engine: EngineProcesses, before: dict[int, float]
) -> tuple[float, float]:
    """Return the seconds of the engine's short processes, and of shims and runtimes."""
    by_program: dict[tuple[int, bool], float] = defaultdict(float)
    for each in ended:
        is_engine = each.exe_inode in engine.engine_inodes and each.tgid not in engine.pids
        # What runc and runsc call so runs in the container's cgroup, where it is counted.
        in_container = each.comm.startswith("runc:[") or each.comm == "exe"
        is_runtime = each.exe_inode in engine.runtime_inodes and not in_container
        if is_engine or is_runtime:
            by_program[each.tgid, is_engine] += each.cpu_s
    living = _live_shims()
    hooks = sum(cpu_s for (_, is_engine), cpu_s in by_program.items() if is_engine)
    # A shim that still lives tells its ended threads by itself.
    gone = {tgid: cpu_s for (tgid, is_engine), cpu_s in by_program.items() if not is_engine}
    runtime = sum(cpu_s for tgid, cpu_s in gone.items() if tgid not in living)
    runtime += sum(living.values()) - sum(before.values())
    # One that lived before and has ended since told in its records also what it used before.
    return hooks, max(0.0, runtime)
