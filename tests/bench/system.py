"""The whole system: a real worker, from submit to the final state."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from urllib.parse import urlsplit

from safeurl.model.scan import Scan
from safeurl.service import Service
from safeurl.services.submit import Submission
from safeurl.state import State
from tests.support.system import RunningWorker, System

_SINGLES = 15


@dataclass(frozen=True, slots=True)
class Figures:
    """What the whole system did."""

    per_second: float
    #: `p50 / p95 ms`.
    queued_ms: str
    single_ms: str


def whole_system(folder: Path, url: str, scans: int) -> Figures:
    """Run `scans` at once through a worker with concurrency 5, then some one after another."""
    host = urlsplit(url).hostname
    system = System(folder, EGRESS_ALLOW_CIDRS=f"{host}/32", LOG_LEVEL="WARNING")
    with RunningWorker(system):
        _run(system, url, 5)  # the first ones pay for caches of the engine
        started = time.perf_counter()
        together = _run(system, url, scans)
        took = time.perf_counter() - started
        alone = [scan for _ in range(_SINGLES) for scan in _run(system, url, 1)]
    return Figures(scans / took, _spread(together), _spread(alone))


def _run(system: System, url: str, count: int) -> list[Scan]:
    async def submit(service: Service) -> Submission:
        return await service.submit([f"{url}?{n}" for n in range(count)], source="bench")

    ids = [scan.id for scan in system.with_service(submit).scans]
    scans = system.wait_final(ids, timeout_s=60 + 2.0 * count)
    assert {scan.state for scan in scans} == {State.COMPLETED}
    return scans


def _spread(scans: Sequence[Scan]) -> str:
    took = [
        (scan.finished_at - scan.created_at).total_seconds() * 1000
        for scan in scans
        if scan.finished_at is not None
    ]
    cuts = quantiles(took, n=20, method="inclusive")
    return f"{cuts[9]:,.0f} / {cuts[18]:,.0f} ms"
