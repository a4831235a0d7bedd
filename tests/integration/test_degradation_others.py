"""A clock set back, a gateway away, a worker killed, and ten thousand scans at once."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from safeurl.bootstrap import make_queue, open_store, utc_now
from safeurl.model.scan import Scan
from safeurl.ports.store import Store
from safeurl.service import Service
from safeurl.services.submit import MAX_SUBMIT
from safeurl.state import Outcome, State
from tests.support.docker_proxy import DockerProxy
from tests.support.installation import Installation, installation, serving, until
from tests.support.tcp_valkey import TcpValkey
from tests.support.wall_clock import WallClock
from worker.leader.rescuer import SWEEP_LIMIT, Rescuer

_HOUR_S = 3600
_MANY = 10_000
_ENOUGH = 3
#: More than a sweep looks at.
_HUNDREDS = SWEEP_LIMIT + 100


def test_clock_set_back(tmp_path: Path) -> None:
    """Running scans end; waiting ones start at once, also with a retry that is an hour away."""
    clock = WallClock(tmp_path)
    settings = {
        "DOCKER_SOCKET_PATH": str(tmp_path / "docker.sock"),
        "RETRY_BACKOFF_SECONDS": "600",
        "LEASE_SECONDS": "6",
    }
    with (
        DockerProxy(tmp_path / "docker.sock") as docker,
        installation(tmp_path / "state", settings, environ=clock.environ) as site,
    ):
        put_off = site.begin_held("/held/put-off")
        docker.stop()
        until(lambda: site.scan(put_off).outcome is Outcome.SANDBOX_UNAVAILABLE)
        docker.start()
        held = site.begin_held("/held")
        waiting = site.submit("/waiting")
        clock.shift(-_HOUR_S)
        later = site.submit("/later")
        assert later.said == ""
        assert site.health().status == "healthy"
        # As many sweeps and renewals of leases by the new time as a rescuer needs for a mistake.
        until(lambda: site.scan(held).lease_until < site.scan(waiting.ids[0]).created_at)  # type: ignore[operator]  # a running scan has a lease
        site.release()
        scans = site.expect_completed([held, *waiting.ids, *later.ids, put_off])
        assert [scan.attempt for scan in scans] == [1, 1, 1, 2]
        site.expect_health("healthy")


def test_gateway_away(tmp_path: Path) -> None:
    """Scans wait for a gateway of its own unit, which the health reports, and use no attempt."""
    settings = {"EGRESS_DIR": str(tmp_path / "gateway")}
    with installation(tmp_path / "state", settings) as site:
        told = site.submit("/waiting")
        site.expect_health("degraded", "cannot scan: The egress gateway in")
        waiting = site.scan(told.ids[0])
        assert (waiting.state, waiting.attempt) == (State.QUEUED, 0)
        with subprocess.Popen(
            [sys.executable, "-m", "safeurl.cli", "gateway"], env=site.system.environ
        ) as gateway:
            try:
                [scan] = site.expect_completed(told.ids)
                site.expect_health("healthy")
            finally:
                gateway.terminate()
    assert scan.attempt == 1


def test_worker_killed(tmp_path: Path) -> None:
    """Its scan runs again within a sweep, before hundreds that came after it."""
    with installation(tmp_path / "state") as site:
        held = site.begin_held("/held")
        site.system.with_service(lambda service: _submit(service, site, _HUNDREDS))
        owner = site.scan(held).lease_owner or ""
        os.kill(int(owner.rpartition(":")[2]), signal.SIGKILL)
        site.release()
        [scan] = site.expect_completed([held])
        assert scan.attempt == 2
        assert f"The worker {owner} was lost." in [entry.detail for entry in site.trail(held)]
        assert len(site.asked) < _HUNDREDS / 10


def test_10000_queued(tmp_path: Path) -> None:
    """They are counted and listed at once, run in order, and survive the loss of all wake-ups."""
    with (
        TcpValkey(tmp_path) as valkey,
        installation(tmp_path / "state", valkey.settings, start=False) as site,
    ):
        ids = site.system.with_service(lambda service: _submit(service, site, _MANY))
        with serving(site):
            health = site.expect_health("unhealthy", f"No worker is running, and {_MANY:,} scans")
            assert f"{_MANY:,} scans are pending." in health.issues
            listed = site.api.get("/api/scans", params={"limit": 200})
            assert [scan["id"] for scan in listed.json()["scans"]] == ids[:-201:-1]
            with site.worker:
                until(lambda: len(site.asked) >= _ENOUGH)
                site.expect_health("degraded", "scans are pending.")
        assert site.asked == [f"/{number}" for number in range(len(site.asked))]
        done = site.expect_completed(ids[: len(site.asked)])
        valkey.flush()
        assert asyncio.run(_swept(site)) == ids[len(done) :]


async def _submit(service: Service, site: Installation, count: int) -> list[str]:
    ids: list[str] = []
    for start in range(0, count, MAX_SUBMIT):
        numbers = range(start, min(start + MAX_SUBMIT, count))
        urls = [site.pages.url(f"/{number}") for number in numbers]
        submission = await service.submit(urls, source="bulk")
        assert submission.queued
        ids += [scan.id for scan in submission.scans]
    return ids


async def _swept(site: Installation) -> list[str]:
    """Let a rescuer push and a worker claim until nothing is due; return the ids in order."""
    settings = site.system.settings
    queue = make_queue(settings)
    claimed: list[str] = []
    async with open_store(settings) as store:
        term = await store.lead("the test", now=utc_now(), until=utc_now() + timedelta(hours=1))
        rescuer = Rescuer(
            store,
            queue,
            clock=utc_now,
            actor="the test",
            # Longer than this takes on a busy machine: nothing is to count as lost.
            lease=timedelta(hours=1),
            max_retries=settings.max_retries,
            reap=_reap_nothing,
        )
        for _ in range(2 * (_MANY // SWEEP_LIMIT)):
            await rescuer.sweep(term.term)
            woken = sorted((await queue.waiting(limit=_MANY)).scan_ids - set(claimed))
            claimed += [scan.id for scan in await _claim_all(store, woken)]
    await queue.close()
    return claimed


async def _claim_all(store: Store, scan_ids: list[str]) -> list[Scan]:
    until_at = utc_now() + timedelta(hours=1)
    scans = [
        await store.claim(scan_id, owner="the test", now=utc_now(), lease_until=until_at)
        for scan_id in scan_ids
    ]
    return [scan for scan in scans if scan is not None and scan.state is State.FETCHING]


async def _reap_nothing(_scan: str, _attempt: int) -> bool:
    return False
