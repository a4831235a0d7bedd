"""A running SafeURL of the bench: scans in, times out, and what its pool and containers are."""

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from safeurl.bootstrap import open_service
from safeurl.model.attempt import Attempt
from safeurl.model.scan import Scan
from safeurl.ports.store import Store
from safeurl.service import Service
from safeurl.services.submit import MAX_SUBMIT
from safeurl.settings import Settings
from safeurl.state import State
from tests.bench.compare.final_watch import FinalWatch, final_watch
from tests.bench.compare.lab import Lab, ignored
from tests.bench.compare.processes import cpu_of_tree
from tests.support.images import docker_client
from tests.support.sandbox_lab import clear
from tests.support.system import RunningWorker, System
from worker.sandbox import labels

#: Names of containers that no attempt has claimed (worker/sandbox/labels.py).
_AHEAD, _ANCHOR = "safeurl-pool-", "safeurl-anchor-"
_POLL_S = 0.1
#: The pool is as large as it wants to be when it has not changed for so long.
_SETTLED_S = 1.5
#: It is only waited for that long; the report then says what there is.
_LONGEST_WAIT_S = 45.0
_PER_SCAN_S = 5.0


def has_pool() -> bool:
    """Whether this version has a warm pool."""
    return "pool_size" in Settings.model_fields


@dataclass(frozen=True, slots=True)
class Containers:
    """The containers of an installation, by their purposes."""

    ready: int
    anchors: int
    #: Those of attempts.
    busy: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A scan that is final, and its attempts."""

    scan: Scan
    attempts: tuple[Attempt, ...]
    #: When it was seen to be final; None where nobody watched.
    seen_s: float | None = None

    @property
    def end_s(self) -> float:
        """When it was final: where nobody watched, the beginning of the write that made it so."""
        assert self.scan.finished_at is not None
        return self.seen_s or self.scan.finished_at.timestamp()

    @property
    def latency_ms(self) -> float:
        """From its submission until it was final."""
        return (self.end_s - self.scan.created_at.timestamp()) * 1000

    @property
    def overhead_ms(self) -> float:
        """The latency without the fetch: from the first byte of the request to the report."""
        # Before phases were recorded, the container's run; it has the interpreter's start in it.
        fetches = (getattr(each, "fetch_ms", None) or each.run_ms or 0.0 for each in self.attempts)
        return self.latency_ms - sum(fetches)

    @property
    def is_warm(self) -> bool:
        """Whether its last attempt found a sandbox that was started ahead."""
        return bool(self.attempts) and self.attempts[-1].start_kind == "warm"


@dataclass(frozen=True, slots=True)
class Installation:
    """One running worker with its state folder."""

    system: System
    worker: RunningWorker
    url: str

    def cpu_s(self) -> float:
        """Return the CPU seconds of all its processes."""
        return cpu_of_tree([self.worker.pid])

    def scan(self, count: int) -> list[Finished]:
        """Submit so many at once and return them when all are final."""
        return self._finished(
            self.system.with_service(lambda service: self._submit(service, count))
        )

    def scan_at_rate(self, per_second: float, seconds: float, *, is_random: bool) -> list[Finished]:
        """Submit one by one at this rate, whatever has ended; return them when all are final."""
        with final_watch(self.system.settings.database_path) as watch:
            loop = self._open_loop(watch, per_second, seconds, is_random=is_random)
            ended = self._finished(asyncio.run(loop))
        return [replace(each, seen_s=watch.seen_s.get(each.scan.id)) for each in ended]

    async def _submit(self, service: Service, count: int) -> list[str]:
        ids: list[str] = []
        for start in range(0, count, MAX_SUBMIT):
            numbers = range(start, min(count, start + MAX_SUBMIT))
            done = await service.submit([f"{self.url}?{n}" for n in numbers], source="bench")
            ids += [scan.id for scan in done.scans]
        return ids

    async def _open_loop(
        self, watch: FinalWatch, per_second: float, seconds: float, *, is_random: bool
    ) -> list[str]:
        # Seeded: every run of the bench has the same arrivals.
        chance = random.Random(13)  # noqa: S311 - arrivals, no secrets
        ids: list[str] = []
        async with open_service(self.system.settings) as service:
            started = at = time.monotonic()
            while at < started + seconds:
                await asyncio.sleep(max(0.0, at - time.monotonic()))
                ids += await self._submit(service, 1)
                watch.add(ids[-1])
                at += chance.expovariate(per_second) if is_random else 1 / per_second
        return ids

    def _finished(self, ids: list[str]) -> list[Finished]:
        scans = self.system.wait_final(ids, timeout_s=60 + _PER_SCAN_S * len(ids))

        async def read(store: Store) -> list[Finished]:
            return [Finished(each, tuple(await store.attempts(each.id))) for each in scans]

        return self.system.with_store(read)

    def containers(self) -> Containers:
        """Count the containers."""
        with docker_client() as client:
            label = labels.instance_filter(self.system.settings.instance)
            listed = client.api.containers(all=True, filters={"label": label})
        names = [each["Names"][0].removeprefix("/") for each in listed if each["Names"]]
        ready = sum(name.startswith(_AHEAD) for name in names)
        anchors = sum(name.startswith(_ANCHOR) for name in names)
        return Containers(ready, anchors, len(names) - ready - anchors)

    def wait_quiet(self, least_ready: int = 0) -> float:
        """Wait until no attempt has a container and the pool does not grow; return the seconds.

        The time in which nothing changed any more is not counted.
        """
        began = changed = time.monotonic()
        last = Containers(-1, -1, -1)
        while time.monotonic() - began < _LONGEST_WAIT_S:
            now = self.containers()
            if now != last:
                changed, last = time.monotonic(), now
            is_idle = now.busy == 0 and now.ready >= least_ready
            if is_idle and time.monotonic() - changed >= _SETTLED_S:
                break
            time.sleep(_POLL_S)
        return changed - began


@contextmanager
def running(lab: Lab, *, pool: str) -> Iterator[Installation]:
    """Run a worker with this POOL_SIZE until the block ends; its folder stays for the next time."""
    settings = {"POOL_SIZE": pool} if has_pool() else {}
    system = System(
        folder_of(lab, pool),
        EGRESS_ALLOW_CIDRS=f"{lab.host}/32",
        LOG_LEVEL="WARNING",
        CONTAINER_RUNTIME=lab.runtime,
        **settings,
    )
    try:
        with RunningWorker(system) as worker:
            yield Installation(system, worker, lab.url)
    finally:
        ignored(lambda: clear(system.settings.instance))


def folder_of(lab: Lab, pool: str) -> Path:
    """Return the state folder of an installation with this pool."""
    return lab.folder / f"safeurl-{pool}"


def good(finished: Sequence[Finished]) -> list[Finished]:
    """Return those that ended with a verdict on the page."""
    return [each for each in finished if each.scan.state is State.COMPLETED]
