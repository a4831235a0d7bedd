"""Many workers on one database: how long claims and ends take when all of them want to write.

`python -m tests.bench.growth.crowd TARGET NAME SECONDS PAUSE` is one process with some of the
workers, each with connections of its own; TARGET is a file or the URL of a libSQL server.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from safeurl.bootstrap import utc_now
from safeurl.model.scan import Scan, new_scan_id
from safeurl.ports.store import Store
from tests.bench.growth.simulated import Took, Worker, around
from tests.support.builders import make_scan
from tests.support.claimer import open_target
from tests.support.fetching import ROOT
from tests.support.sqld import Sqld

#: Python processes take memory, so some workers share one; each has a store of its own.
_PER_PROCESS = 8
_AT_ONCE = 500
#: More scans a second than any database of ours ends.
_MOST_PER_SECOND = 1500
#: A core that is used so much is what bounds the rate.
_FULL = 0.85


@dataclass(frozen=True, slots=True)
class Crowd:
    """What so many workers did on one database."""

    database: str
    workers: int
    #: Mean seconds that each scan's sandbox would take.
    pause_s: float
    took: Took
    seconds: float
    #: Cores in use: by the workers, by the server, and by the whole machine.
    worker_cores: float
    server_cores: float
    machine_cores: float

    @property
    def per_second(self) -> float:
        """Scans that ended per second."""
        return len(self.took.ended_s) / self.seconds

    def bound(self, cores: int) -> str:
        """Name what bounds the rate, judged by what was used up."""
        if self.pause_s and self.per_second > _FULL * self.workers / (self.pause_s + _OWN_S):
            return "the pauses: the database has room"
        if self.machine_cores > _FULL * cores:
            share = self.server_cores / (self.worker_cores + self.server_cores or 1.0)
            return f"the cores of this machine ({share:.0%} of it the server)"
        if self.server_cores > _FULL:
            return "the server's one writing thread"
        return "the lock: one writer at a time"


#: What a scan takes besides its pause on a quiet machine, at most.
_OWN_S = 0.2


def on_sqlite(folder: Path, workers: int, seconds: float, pause_s: float) -> Crowd:
    """Let the workers share one SQLite file."""
    target = folder / "crowd.db"
    return _crowd("SQLite", str(target), workers, seconds, pause_s, server_pid=None)


def on_sqld(folder: Path, workers: int, seconds: float, pause_s: float) -> Crowd:
    """Let the workers share one sqld."""
    with Sqld(folder / "sqld") as server:
        url = f"http://{server.authority}"
        return _crowd("sqld", url, workers, seconds, pause_s, server_pid=server.pid)


def _crowd(  # noqa: PLR0913 - what a crowd is
    database: str,
    target: str,
    workers: int,
    seconds: float,
    pause_s: float,
    *,
    server_pid: int | None,
) -> Crowd:
    processes = max(1, workers // _PER_PROCESS)
    per_process = workers // processes
    rate = workers / pause_s * 2 if pause_s else _MOST_PER_SECOND
    shares = asyncio.run(_submit(target, processes, per_process, int(rate * seconds / workers) + 1))
    with _started(target, processes, seconds, pause_s) as running:
        for process in running:
            assert process.stdout is not None
            process.stdout.readline()
        watched = [*(process.pid for process in running), *([server_pid] if server_pid else [])]
        cpu_s, machine_s, began_s = _cpu(watched), _machine(), time.monotonic()
        for process, share in zip(running, shares, strict=True):
            assert process.stdin is not None
            process.stdin.write(json.dumps(share) + "\n")
            process.stdin.flush()
        took = Took()
        answers = [json.loads(process.stdout.readline()) for process in running if process.stdout]
        elapsed = time.monotonic() - began_s
        after = _cpu(watched)
        for answer in answers:
            took.add(Took(**answer))
        used = {pid: after[pid] - cpu_s[pid] for pid in watched}
        server_s = used.pop(server_pid) if server_pid else 0.0
        machine = _machine() - machine_s
    return Crowd(
        database=database,
        workers=processes * per_process,
        pause_s=pause_s,
        took=took,
        seconds=elapsed,
        worker_cores=sum(used.values()) / elapsed,
        server_cores=server_s / elapsed,
        machine_cores=machine / elapsed,
    )


def _cpu(pids: Sequence[int]) -> dict[int, float]:
    times = {pid: psutil.Process(pid).cpu_times() for pid in pids}
    return {pid: each.user + each.system for pid, each in times.items()}


def _machine() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


async def _submit(target: str, processes: int, workers: int, each: int) -> list[list[list[str]]]:
    """Record the scans; return, by process and worker, the ids that only that one claims."""
    store = open_target(target)
    try:
        await store.migrate()
        shares = [[_scans(each) for _ in range(workers)] for _ in range(processes)]
        every = [scan for process in shares for share in process for scan in share]
        for start in range(0, len(every), _AT_ONCE):
            await store.add(every[start : start + _AT_ONCE])
    finally:
        await store.close()
    return [[[scan.id for scan in share] for share in process] for process in shares]


def _scans(count: int) -> list[Scan]:
    now = utc_now()
    return [make_scan(now, id=new_scan_id(now)) for _ in range(count)]


@contextmanager
def _started(
    target: str, processes: int, seconds: float, pause_s: float
) -> Iterator[list[subprocess.Popen[str]]]:
    running = []
    with tempfile.TemporaryFile() as errors:
        try:
            for number in range(processes):
                command = [sys.executable, "-m", __name__, target, f"host-{number}"]
                running.append(
                    subprocess.Popen(
                        [*command, str(seconds), str(pause_s)],
                        cwd=ROOT,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=errors,
                        text=True,
                    )
                )
            yield running
        finally:
            for process in running:
                process.kill()
                process.communicate()


async def _work(target: str, name: str, seconds: float, pause_s: float) -> Took:
    print("ready", flush=True)  # noqa: T201 - the parent waits for it
    shares: list[list[str]] = json.loads(sys.stdin.readline())
    stores = [open_target(target) for _ in shares]
    until_s, took = time.monotonic() + seconds, Took()
    try:
        await asyncio.gather(
            *(
                _work_through(Worker(store, f"{name}:{n}", around(pause_s, n)), ids, until_s, took)
                for n, (store, ids) in enumerate(zip(stores, shares, strict=True))
            )
        )
    finally:
        await _close(stores)
    return took


async def _work_through(worker: Worker, ids: list[str], until_s: float, took: Took) -> None:
    for scan_id in ids:
        if time.monotonic() > until_s:
            return
        await worker.scan(scan_id, took)


async def _close(stores: Sequence[Store]) -> None:
    for store in stores:
        await store.close()


if __name__ == "__main__":
    _target, _name, _seconds, _pause = sys.argv[1:]
    print(json.dumps(asdict(asyncio.run(_work(_target, _name, float(_seconds), float(_pause))))))  # noqa: T201 - for the parent
