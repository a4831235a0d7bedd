"""Real sandboxes before a long queue and before a short one, in scans per second."""

from dataclasses import dataclass
from pathlib import Path

from safeurl.service import Service
from safeurl.services.submit import MAX_SUBMIT
from safeurl.state import State
from tests.bench.compare.lab import page_process, sustained
from tests.support.system import RunningWorker, System, bridge_gateway
from tests.support.tcp_valkey import TcpValkey

_PER_SCAN_S = 10.0


@dataclass(frozen=True, slots=True)
class Rates:
    """Real scans per second."""

    queued: int
    short: float
    long: float


def real_rates(folder: Path, queued: int, sample: int) -> Rates:
    """Run a worker until a sample has ended, before a short queue and before a long one."""
    host = bridge_gateway()
    with page_process(host) as (url, _):
        short = _rate(folder / "short", host, url, sample, sample)
        long = _rate(folder / "long", host, url, queued, sample)
    return Rates(queued, short, long)


def _rate(folder: Path, host: str, url: str, queued: int, sample: int) -> float:
    (folder / "queue").mkdir(parents=True)
    with TcpValkey(folder / "queue") as server:
        settings = {"EGRESS_ALLOW_CIDRS": f"{host}/32", "LOG_LEVEL": "WARNING"}
        system = System(folder / "state", **settings, **server.settings)

        async def submit(service: Service) -> list[str]:
            ids: list[str] = []
            for start in range(0, queued, MAX_SUBMIT):
                numbers = range(start, min(queued, start + MAX_SUBMIT))
                urls = [f"{url}?{n}" for n in numbers]
                ids += [scan.id for scan in (await service.submit(urls, source="bench")).scans]
            return ids

        ids = system.with_service(submit)[:sample]
        with RunningWorker(system):
            scans = system.wait_final(ids, 60 + _PER_SCAN_S * len(ids))
        assert {scan.state for scan in scans} == {State.COMPLETED}
        return sustained([scan.finished_at.timestamp() for scan in scans if scan.finished_at])
