"""A long queue drains: scans per second at its beginning and at its end.

Wake-ups come off a real queue and every write goes to a real SQLite file; only the sandbox is left
out, so that the rate is that of all other parts. The leader's turns run beside it.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from redis import Redis

from safeurl.adapters.redis.wakeup import take
from safeurl.bootstrap import make_queue, open_store, redis_server, utc_now
from safeurl.model.records.wakeup import Wakeup
from safeurl.ports.queue import WakeQueue
from safeurl.ports.store import Store
from safeurl.service import Service
from safeurl.services.submit import MAX_SUBMIT
from safeurl.settings import Settings
from tests.bench.growth.simulated import Took, Worker
from tests.support.valkey import Valkey
from worker.leader.rescuer import Rescuer
from worker.leader.sealer import Sealer

#: Scans that one host runs at a time, by default.
_AT_ONCE = 5
_TURN_S = 2.0
#: No wake-up for so long means that the queue is empty.
_EMPTY_S = 1.0
_ANSWER_S = 10.0


@dataclass(frozen=True, slots=True)
class Drained:
    """How a queue drained."""

    scans: int
    part: int
    submit_s: float
    drain_s: float
    #: Scans per second of the first and of the last part.
    first: float
    last: float
    #: The same per CPU second of this process, which other work on the machine does not change.
    first_per_cpu_s: float
    last_per_cpu_s: float
    #: CPU seconds of this process per second; it holds worker, store and leader.
    cores: float


def drain(folder: Path, scans: int) -> Drained:
    """Submit so many scans, then take all of them from the queue."""
    settings = Settings.read({"SAFEURL_STATE_DIR": str(folder)})
    with Valkey(settings.valkey_dir):
        return asyncio.run(_drain(settings, scans))


async def _drain(settings: Settings, scans: int) -> Drained:
    queue = make_queue(settings)
    took = Took()
    async with open_store(settings) as store:
        began_s = time.monotonic()
        await _submit(Service(store, queue, utc_now), scans)
        submit_s = time.monotonic() - began_s
        hour = timedelta(hours=1)
        term = (await store.lead("bench", now=utc_now(), until=utc_now() + hour)).term
        # What the submissions wrote is sealed by the leader while they come, not while they drain.
        while await Sealer(store, clock=utc_now).seal(term):
            pass
        started_s = time.monotonic()
        cpu_s = time.process_time()
        leader = asyncio.create_task(_lead(store, queue, term))
        try:
            workers = [_take_all(settings, store, f"bench-{n}", took) for n in range(_AT_ONCE)]
            await asyncio.gather(*workers)
        finally:
            leader.cancel()
            await asyncio.gather(leader, return_exceptions=True)
    await queue.close()
    ends, used = sorted(took.ended_s), sorted(took.ended_cpu_s)
    if len(ends) != scans:
        raise RuntimeError(f"{len(ends)} of {scans} scans ended.")
    part = scans // 5
    took_s = ends[-1] - started_s
    return Drained(
        scans=scans,
        part=part,
        submit_s=submit_s,
        drain_s=took_s,
        first=part / (ends[part - 1] - started_s),
        last=part / (ends[-1] - ends[-part - 1]),
        first_per_cpu_s=part / (used[part - 1] - cpu_s),
        last_per_cpu_s=part / (used[-1] - used[-part - 1]),
        cores=(used[-1] - cpu_s) / took_s,
    )


async def _submit(service: Service, scans: int) -> None:
    for start in range(0, scans, MAX_SUBMIT):
        numbers = range(start, min(start + MAX_SUBMIT, scans))
        await service.submit([f"https://example.com/{n}" for n in numbers], source="bench")


async def _take_all(settings: Settings, store: Store, name: str, took: Took) -> None:
    worker = Worker(store, name)
    link: Redis = redis_server(settings).connect_worker(_ANSWER_S)
    try:
        while isinstance(found := await asyncio.to_thread(take, link, _EMPTY_S), Wakeup):
            await worker.scan(found.scan_id, took)
    finally:
        link.close()


async def _lead(store: Store, queue: WakeQueue, term: int) -> None:
    rescuer = Rescuer(
        store,
        queue,
        clock=utc_now,
        actor="bench",
        lease=timedelta(hours=1),
        max_retries=3,
        reap=_reap_nothing,
    )
    sealer = Sealer(store, clock=utc_now)
    while True:
        await rescuer.sweep(term)
        await sealer.seal(term)
        await asyncio.sleep(_TURN_S)


async def _reap_nothing(_scan: str, _attempt: int) -> bool:
    return False
