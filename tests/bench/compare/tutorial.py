"""The rival of tutorials: RQ workers whose jobs call `client.containers.run()`."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from rq import Queue
from rq.job import Job, JobStatus

from tests.bench.compare.lab import Lab, Sample, sustained
from tests.bench.compare.processes import cpu_of_tree
from tests.support.fetching import ROOT
from tests.support.images import SOCKET_PATH
from tests.support.tcp_valkey import TcpValkey

_JOB = "tests.bench.compare.tutorial_job.scan"
_POLL_S = 0.02
_PER_SCAN_S = 10.0
_STOP_S = 20.0


@dataclass(frozen=True, slots=True)
class Tutorial:
    """So many `rq worker` processes with their own server."""

    parallel: int
    image: str

    @property
    def name(self) -> str:
        """What the table calls it."""
        workers = "worker" if self.parallel == 1 else "workers"
        return f"RQ job with containers.run(), {self.parallel} {workers}"

    def run(self, lab: Lab, scans: int) -> Sample:
        """Enqueue all jobs at once; a single worker gets them one after another."""
        folder = lab.folder / "tutorial"
        folder.mkdir(exist_ok=True)
        with TcpValkey(folder) as server:
            link = Redis(port=server.port)
            with self._workers(lab, server) as pids:
                queue = Queue("bench", connection=link)
                # The first jobs pay for caches.
                _finished([queue.enqueue(_JOB, lab.url) for _ in range(self.parallel)])
                with lab.meter.watch(lambda: cpu_of_tree([*pids, server.pid])) as cpu:
                    started = time.perf_counter()
                    jobs = self._run(queue, lab.url, scans)
                    took = time.perf_counter() - started
            done = [job for job in jobs if _is_good(job)]
            link.close()
        return Sample(
            scans=scans,
            lost=scans - len(done),
            per_second=sustained([job.ended_at.timestamp() for job in done if job.ended_at]),
            latencies_ms=[_latency_ms(job) for job in done],
            cpu=cpu,
            took_s=took,
        )

    def _run(self, queue: Queue, url: str, scans: int) -> list[Job]:
        if self.parallel > 1:
            return _finished([queue.enqueue(_JOB, url) for _ in range(scans)])
        return [job for _ in range(scans) for job in _finished([queue.enqueue(_JOB, url)])]

    @contextmanager
    def _workers(self, lab: Lab, server: TcpValkey) -> Iterator[list[int]]:
        environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "DOCKER_HOST": f"unix://{SOCKET_PATH}",
            "BENCH_IMAGE": self.image,
            "BENCH_RUNTIME": lab.runtime,
            "BENCH_MEMORY_MB": str(lab.defaults.container_memory_limit_mb),
            "BENCH_CPUS": str(lab.defaults.container_cpu_limit),
            "BENCH_PIDS": str(lab.defaults.container_pids_limit),
        }
        url = f"redis://127.0.0.1:{server.port}"
        program = str(Path(sys.executable).with_name("rq"))
        command = [program, "worker", "--quiet", "--url", url, "bench"]
        with (lab.folder / "tutorial.log").open("ab") as log:
            workers = [
                subprocess.Popen(command, env=environ, stdout=log, stderr=log)
                for _ in range(self.parallel)
            ]
        try:
            yield [worker.pid for worker in workers]
        finally:
            _stop(workers)


def _stop(workers: list[subprocess.Popen[bytes]]) -> None:
    for worker in workers:
        worker.terminate()
    for worker in workers:
        try:
            worker.wait(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


def _finished(jobs: list[Job]) -> list[Job]:
    """Wait until all jobs have ended, one after the other; raise TimeoutError if they do not."""
    until = time.monotonic() + 60 + _PER_SCAN_S * len(jobs)
    for job in jobs:
        while job.get_status(refresh=True) not in {JobStatus.FINISHED, JobStatus.FAILED}:
            if time.monotonic() > until:
                raise TimeoutError("The jobs of the tutorial's workers do not end.")
            time.sleep(_POLL_S)
        job.refresh()  # type: ignore[no-untyped-call]  # RQ's own
    return jobs


def _is_good(job: Job) -> bool:
    value = job.return_value()
    return isinstance(value, dict) and value.get("status") == 200


def _latency_ms(job: Job) -> float:
    if job.ended_at is None or job.enqueued_at is None:
        return float("nan")
    return float((job.ended_at - job.enqueued_at).total_seconds() * 1000)
