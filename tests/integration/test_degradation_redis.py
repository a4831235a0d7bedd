"""Redis with faults: scans are taken all the time, and each of them ends."""

from collections.abc import Iterator

import pytest

from tests.support.installation import Installation, installation, until
from tests.support.tcp_valkey import TcpValkey

_RECORDED = "The scan is recorded and starts when the queue is back."


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TcpValkey]:
    """Run a server that each test leaves running and empty of faults."""
    with TcpValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, valkey: TcpValkey) -> Iterator[Installation]:
    """Run one installation on it for all tests, whose faults pass."""
    folder = tmp_path_factory.mktemp("state")
    with installation(folder, {**valkey.settings, "LEASE_SECONDS": "3"}) as running:
        yield running


def test_redis_down(site: Installation, valkey: TcpValkey) -> None:
    """Running scans complete without it; new ones are recorded, and start once it is back."""
    running = site.begin_held("/held/down")
    valkey.kill()
    health = site.expect_health("degraded", "Redis does not answer")
    assert health.code == 200
    told = site.submit("/down/cli")
    assert told.code == 0
    assert "Redis does not answer" in told.said
    assert _RECORDED in told.said
    answer = site.post("/down/api")
    assert (answer.status_code, answer.json()["queued"]) == (202, False)
    assert answer.json()["warning"].endswith(_RECORDED)
    site.release()
    assert site.expect_completed([running])[0].attempt == 1
    until(lambda: "worker.redis_lost at=take" in site.worker.log.read_text())
    valkey.start()
    site.expect_completed([*told.ids, answer.json()["id"]])
    site.expect_health("healthy")
    assert "role.crashed" not in site.worker.log.read_text()


def test_redis_flushed(site: Installation, valkey: TcpValkey) -> None:
    """There is only a delay: the lost wake-ups are sent again."""
    running = site.begin_held("/held/flushed")
    waiting = site.submit("/flushed/1", "/flushed/2")
    valkey.flush()
    assert site.health().status == "healthy"
    site.release()
    scans = site.expect_completed([running, *waiting.ids])
    assert [scan.attempt for scan in scans] == [1, 1, 1]


def test_redis_restarted(site: Installation, valkey: TcpValkey) -> None:
    """The server comes back empty: running scans complete, and waiting ones get new wake-ups."""
    running = site.begin_held("/held/restarted")
    waiting = site.submit("/restarted/1", "/restarted/2")
    valkey.kill()
    valkey.start()
    site.expect_health("healthy")
    site.release()
    scans = site.expect_completed([running, *waiting.ids])
    assert [scan.attempt for scan in scans] == [1, 1, 1]


def test_redis_full(site: Installation, valkey: TcpValkey) -> None:
    """A server that accepts no writes is distinguished from a missing one; scans are recorded."""
    running = site.begin_held("/held/full")
    waiting = site.submit("/full/waiting")
    valkey.fill()
    try:
        health = site.expect_health("degraded", "Redis is full: it takes no writes (maxmemory).")
        assert health.code == 200
        told = site.submit("/full/cli")
        assert told.code == 0
        assert f"Redis is full: it takes no writes (maxmemory). {_RECORDED}" in told.said
        answer = site.post("/full/api")
        assert (answer.status_code, answer.json()["queued"]) == (202, False)
        site.release()
        assert site.expect_completed([running])[0].attempt == 1
    finally:
        valkey.relieve()
    site.expect_completed([*waiting.ids, *told.ids, answer.json()["id"]])
    site.expect_health("healthy")
    assert "role.crashed" not in site.worker.log.read_text()
