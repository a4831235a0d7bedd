"""Hostile jobs before a real worker process and a real Valkey: each is refused and removed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis

from safeurl.adapters.redis.connection import RedisServer
from safeurl.adapters.redis.queue import RQQueue
from safeurl.adapters.redis.wakeup import QUEUE_KEY
from safeurl.model.records.wakeup import Refusal
from safeurl.model.scan import new_scan_id
from safeurl.ports.queue import Waiting
from tests.support.hostile_jobs import ON_THE_QUEUE, key, plant_beside_the_queue, plant_module
from tests.support.scan_worker import ScanWorkerProcess
from tests.support.tcp_valkey import TcpValkey


@dataclass(slots=True)
class Lab:
    """One worker with one server for all attacks, and the results so far."""

    valkey: TcpValkey
    redis: Redis
    worker: ScanWorkerProcess
    canary: Path
    refusals: int = 0
    scans: int = 0

    async def push(self, scan_id: str) -> None:
        """Push a valid wake-up."""
        server = RedisServer(host="127.0.0.1", port=self.valkey.port, socket_path=Path())
        queue = RQQueue(server.connect(), job_timeout_s=30)
        await queue.push([scan_id])
        await queue.close()

    def expect_refusal(self) -> str:
        """Return the reason of the next refusal."""
        self.refusals += 1
        return self.worker.wait_for_refusals(self.refusals)[-1]

    def expect_scan(self) -> str:
        """Return the id of the scan that runs next."""
        self.scans += 1
        return self.worker.wait_for_scans(self.scans)[-1]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Start server and worker, with traps that RQ's maintenance would run into."""
    folder = tmp_path_factory.mktemp("attacks")
    canary = folder / "canary"
    plant_module(folder, canary)
    with TcpValkey(folder) as valkey:
        redis = valkey.client()
        plant_beside_the_queue(redis, _scan_id())
        environ = {"PYTHONPATH": str(folder)}
        with ScanWorkerProcess(valkey.settings, folder, environ) as worker:
            yield Lab(valkey, redis, worker, canary)
            assert worker.stop() == 0
            assert "Traceback" not in worker.log
        redis.close()


def _scan_id() -> str:
    return new_scan_id(datetime.now(UTC))


@pytest.mark.parametrize("name", ON_THE_QUEUE)
async def test_a_hostile_job_is_refused_and_the_next_scan_runs(lab: Lab, name: str) -> None:
    """No canary is made, the job is removed from Redis, and the reason is a constant."""
    hostile, honest = _scan_id(), _scan_id()
    ON_THE_QUEUE[name](lab.redis, hostile, lab.canary)
    await lab.push(honest)
    reason = lab.expect_refusal()
    assert reason in set(Refusal)
    assert lab.expect_scan() == honest
    assert not lab.canary.exists()
    assert lab.redis.llen(QUEUE_KEY) == 0
    assert not lab.redis.exists(key(f"{hostile}-00000000"))
    assert hostile not in lab.worker.log, "what a job says of itself is not repeated"


async def test_refusals_are_counted_for_health(lab: Lab) -> None:
    """The number can be read, and expires by itself."""

    async def refused() -> int:
        server = RedisServer(host="127.0.0.1", port=lab.valkey.port, socket_path=Path())
        queue = RQQueue(server.connect(), job_timeout_s=30)
        try:
            return await queue.refused()
        finally:
            await queue.close()

    before = await refused()
    ON_THE_QUEUE["os-system"](lab.redis, _scan_id(), lab.canary)
    await lab.push(honest := _scan_id())
    lab.expect_refusal()
    assert lab.expect_scan() == honest
    assert await refused() == before + 1
    assert 0 < lab.redis.ttl("safeurl:refused") <= 3600


async def test_traps_of_maintenance_are_left_alone(lab: Lab) -> None:
    """Registries, the intermediate list and dependents of RQ are never looked into."""
    await lab.push(honest := _scan_id())
    assert lab.expect_scan() == honest
    assert not lab.canary.exists()
    assert lab.redis.zcard("rq:wip:scan-jobs") == 2


async def test_hostile_ids_do_not_stop_whoever_counts_what_waits(tmp_path: Path) -> None:
    """Maintenance reads which scans wait; ids that are not ours are skipped."""
    with TcpValkey(tmp_path) as valkey:
        redis = valkey.client()
        for name, plant in ON_THE_QUEUE.items():
            if name.startswith("id-"):
                plant(redis, _scan_id(), tmp_path / "canary")
        server = RedisServer(host="127.0.0.1", port=valkey.port, socket_path=Path())
        queue = RQQueue(server.connect(), job_timeout_s=30)
        assert await queue.waiting(limit=100) == Waiting()
        await queue.push([honest := _scan_id()])
        assert (await queue.waiting(limit=100)).scan_ids == {honest}
        await queue.close()
        redis.close()


@pytest.mark.parametrize("missing", ["", "engine"])
async def test_a_worker_ends_when_it_is_told_to(tmp_path: Path, missing: str) -> None:
    """It may wait for a wake-up or for a missing part; it takes no further wake-up."""
    with TcpValkey(tmp_path) as valkey:
        worker = ScanWorkerProcess(valkey.settings, tmp_path, {"UNAVAILABLE": missing})
        with worker:
            if missing:
                worker.wait_for_log("worker.waiting_for_engine")
            else:
                lab = Lab(valkey, valkey.client(), worker, tmp_path)
                await lab.push(honest := _scan_id())
                assert lab.expect_scan() == honest
                lab.redis.close()
            assert worker.stop() == 0


async def test_a_queue_of_another_type_is_waited_out(tmp_path: Path) -> None:
    """The worker logs that Redis refuses, and continues once the key is removed."""
    with TcpValkey(tmp_path) as valkey:
        redis = valkey.client()
        redis.set(QUEUE_KEY, "no list")
        with ScanWorkerProcess(valkey.settings, tmp_path) as worker:
            lab = Lab(valkey, redis, worker, tmp_path)
            worker.wait_for_log("worker.redis_lost at=take")
            redis.delete(QUEUE_KEY)
            await lab.push(honest := _scan_id())
            assert lab.expect_scan() == honest
        redis.close()
