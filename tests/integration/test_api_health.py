"""Health over HTTP, in each of its states."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from http import HTTPStatus

import pytest

from safeurl.errors import QueueUnavailableError, StoreUnavailableError
from safeurl.model.worker import PartStatus, WarmPool, WorkerHeartbeat, WorkerParts
from tests.support.live_api import NOW, MemoryApi, memory_api

_BEAT = WorkerHeartbeat(
    id="w1",
    host="scan-1",
    pid=42,
    concurrency=5,
    started_at=NOW,
    beat_at=NOW,
    docker_version="20.10.24",
    parts=WorkerParts(),
    disk_free_bytes=10**10,
)


@pytest.fixture
async def api() -> AsyncIterator[MemoryApi]:
    """Serve the API over memory, with a worker that works."""
    with memory_api() as running:
        await running.store.record_heartbeat(_BEAT)
        yield running


async def test_healthy_when_all_parts_work(api: MemoryApi) -> None:
    """200, no issue, no recommendation, and the figures of the work there is."""
    await api.finish(api.submit())
    api.client.delete(f"/api/scans/{api.submit()}")
    api.submit()
    answer = api.client.get("/health")
    body = answer.json()
    assert (answer.status_code, body["health"]) == (200, {"status": "healthy", "issues": []})
    assert body["recommendations"] == []
    assert body["metrics"] == {
        "activeWorkers": 1,
        "totalScansInProgress": 0,
        "pendingScans": 1,
        "recentlyCompleted": 1,
        "recentlyFailed": 0,
        "recentlyCancelled": 1,
        "oldestPendingScan": "2026-03-01T12:00:00Z",
    }
    assert body["workers"][0]["docker"] == {"ok": True, "detail": "20.10.24"}


def test_degraded_without_redis(api: MemoryApi) -> None:
    """Scans are still taken, so the status is 200, and the document has advice."""
    api.queue.fault = QueueUnavailableError("Redis does not answer.")
    answer = api.client.get("/health")
    body = answer.json()
    assert (answer.status_code, body["health"]["status"]) == (200, "degraded")
    assert body["queue"] == {"ok": False, "detail": "Redis does not answer."}
    assert len(body["recommendations"]) == len(body["health"]["issues"]) == 1


async def test_degraded_when_docker_does_not_work(api: MemoryApi) -> None:
    """The worker reports its Docker in its heartbeat; the API calls no other part."""
    beat = replace(
        _BEAT, parts=WorkerParts(docker=PartStatus(ok=False, reason="Permission denied."))
    )
    await api.store.record_heartbeat(beat)
    body = api.client.get("/health").json()
    assert body["health"]["status"] == "degraded"
    assert "scan-1: Permission denied." in body["health"]["issues"][0]
    assert "DOCKER_SOCKET_PATH" in body["recommendations"][0]


async def test_the_texts_of_a_heartbeat_are_bounded(api: MemoryApi) -> None:
    """In every row, no text is long, and none contains control characters."""
    failed = PartStatus(ok=False, reason="y\x1b\n" * 10**5)
    pool = WarmPool(size=1, target=2, hits=3, misses=4)
    parts = WorkerParts(docker=failed, image=failed, gateway=failed, disk=failed, pool=pool)
    beat = replace(_BEAT, host="x" * 10**6, docker_version="z" * 10**6, parts=parts)
    await api.store.record_heartbeat(beat)
    answer = api.client.get("/health")
    assert len(answer.content) < 16_000
    [worker] = answer.json()["workers"]
    assert len(worker["host"]) == 255
    shown = worker["parts"].pop("pool")
    assert (shown["size"], shown["hits"]) == (1, 3)
    assert {len(part["reason"]) for part in worker["parts"].values()} == {600}
    assert "\\u001b" not in answer.text


async def test_the_counts_of_a_pool_are_bounded(api: MemoryApi) -> None:
    """A forged row may hold a number of thousands of digits, or one below zero."""
    pool = WarmPool(size=10**4000, target=-(10**4000), hits=-1, misses=5, failed_starts=10**9)
    await api.store.record_heartbeat(replace(_BEAT, parts=WorkerParts(pool=pool)))
    answer = api.client.get("/health")
    [worker] = answer.json()["workers"]
    assert list(worker["parts"]["pool"].values()) == [10**9, 0, 0, 5, 10**9]


async def test_a_worker_that_was_lost_is_told_of(api: MemoryApi) -> None:
    """One that has been silent for a minute does not count; one that signs off is not missed."""
    await api.store.record_heartbeat(replace(_BEAT, beat_at=NOW - timedelta(minutes=1)))
    body = api.client.get("/health").json()
    assert (body["health"]["status"], body["workers"]) == ("degraded", [])
    assert body["health"]["issues"] == [
        "No worker is running.",
        "The worker on scan-1 (process 42) was lost: it was last heard of 1 minute ago.",
    ]
    assert "safeurl worker" in body["recommendations"][0]
    await api.store.remove_worker(_BEAT.id)
    assert api.client.get("/health").json()["health"]["issues"] == ["No worker is running."]


async def test_unhealthy_when_nobody_is_there_for_the_scans(api: MemoryApi) -> None:
    """They are still taken, so the status is 200, and a load balancer can keep the server."""
    await api.store.remove_worker(_BEAT.id)
    api.submit()
    answer = api.client.get("/health")
    assert answer.status_code == HTTPStatus.OK
    assert answer.json()["health"] == {
        "status": "unhealthy",
        "issues": ["No worker is running, and 1 scan waits."],
    }


def test_unhealthy_without_a_database_and_healthy_again(api: MemoryApi) -> None:
    """503 with a complete document, and 200 with the next request once the database is back."""
    api.store.fault = StoreUnavailableError("The database is locked.")
    answer = api.client.get("/health")
    body = answer.json()
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert body["health"] == {"status": "unhealthy", "issues": ["The database is locked."]}
    assert body["metrics"]["pendingScans"] is None
    api.store.fault = None
    assert api.client.get("/health").json()["health"]["status"] == "healthy"


def test_monitors_may_ask_with_head(api: MemoryApi) -> None:
    """The same status and headers as for GET, and no body, whether scans are taken or not."""
    for fault, status in ((None, 200), (StoreUnavailableError("The database is locked."), 503)):
        api.store.fault = fault
        head, get = api.client.head("/health"), api.client.get("/health")
        assert (head.status_code, head.content, get.status_code) == (status, b"", status)
        assert head.headers["content-length"] == get.headers["content-length"]
        assert head.headers["content-type"] == get.headers["content-type"]
