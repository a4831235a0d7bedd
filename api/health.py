"""Health: what works now, and what to do about what does not. Docker is never asked from here."""

from collections.abc import Iterator
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Response

from api.dependency import ServiceOf
from api.schemas import (
    HealthDocument,
    HealthMetrics,
    HealthSummary,
    PartDocument,
    WorkerDocument,
)
from safeurl.scan import WorkerBeat
from safeurl.service import Health

#: A scan that waits longer than this, with workers there, means that they are too few.
LONG_WAIT: Final = timedelta(minutes=5)

router = APIRouter(tags=["health"])


@router.get(
    "/health",
    summary="Say what works",
    responses={503: {"model": HealthDocument, "description": "No scans are taken now."}},
)
async def health(response: Response, service: ServiceOf) -> HealthDocument:
    """Return 200 while scans are taken, even if they wait, and 503 while none are."""
    found = await service.health()
    if found.status == "unhealthy":
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return document(found)


def document(found: Health) -> HealthDocument:
    """Return the health in the form that is shown."""
    return HealthDocument(
        timestamp=found.at,
        health=HealthSummary.model_validate(found),
        metrics=_metrics(found),
        recommendations=tuple(recommend(found)),
        database=PartDocument.model_validate(found.database),
        queue=PartDocument.model_validate(found.queue),
        workers=tuple(_worker(beat) for beat in found.workers),
    )


def recommend(found: Health) -> Iterator[str]:
    """Say what to do about each thing that is wrong, in order of urgency."""
    if not found.database.ok:
        yield (
            "Check that the database answers and that its disk is not full "
            "(TURSO_CONNECTION_URL, or SAFEURL_STATE_DIR); this server recovers by itself."
        )
    if not found.queue.ok:
        yield (
            "Start Redis, or check REDIS_HOST, REDIS_PORT and REDIS_PASSWORD; "
            "scans handed in meanwhile are recorded and start when it is back."
        )
    if found.database.ok and not found.workers:
        yield "Run `safeurl worker` on a host that has Docker; scans wait until then."
    for beat in found.workers:
        if not beat.docker_ok:
            yield (
                f"On {beat.host}, check that the Docker engine runs and that the worker may open "
                "its socket (DOCKER_SOCKET_PATH)."
            )
    if found.workers and _waits_long(found):
        yield "Raise WORKER_CONCURRENCY or run workers on more hosts; scans wait for long."


def _waits_long(found: Health) -> bool:
    oldest = found.metrics.oldest_pending_at if found.metrics else None
    return oldest is not None and found.at - oldest > LONG_WAIT


def _metrics(found: Health) -> HealthMetrics:
    metrics = found.metrics
    return HealthMetrics(
        active_workers=len(found.workers) if metrics else None,
        total_scans_in_progress=metrics.in_progress if metrics else None,
        pending_scans=metrics.pending if metrics else None,
        recently_completed=metrics.recently_completed if metrics else None,
        oldest_pending_scan=metrics.oldest_pending_at if metrics else None,
    )


def _worker(beat: WorkerBeat) -> WorkerDocument:
    return WorkerDocument(
        host=beat.host,
        pid=beat.pid,
        concurrency=beat.concurrency,
        beat_at=beat.beat_at,
        docker=PartDocument(ok=beat.docker_ok, detail=beat.docker_detail),
    )
