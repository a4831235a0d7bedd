"""The health: which parts work now, and how to repair the others. Docker is never called here."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from api.deps import ServiceOf
from api.native.schemas import (
    HealthDocument,
    HealthMetrics,
    HealthSummary,
    PartDocument,
    WorkerDocument,
    WorkerPartsDocument,
)
from safeurl.model.worker import WorkerHeartbeat
from safeurl.services.health import Health

router = APIRouter(tags=["health"])


# For monitors; a route of its own, so that the schema does not list it.
@router.head("/health", include_in_schema=False)
@router.get(
    "/health",
    summary="Say what works",
    responses={503: {"model": HealthDocument, "description": "No scans are taken now."}},
)
async def health(response: Response, service: ServiceOf) -> HealthDocument:
    """Return 200 while scans are taken, even without a worker, and 503 while none are taken."""
    found = await service.health()
    if not found.takes_scans:
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return document(found)


def document(found: Health) -> HealthDocument:
    """Return the health as the document of the API."""
    return HealthDocument(
        timestamp=found.at,
        health=HealthSummary.model_validate(found),
        metrics=_metrics(found),
        recommendations=found.recommendations,
        database=PartDocument.model_validate(found.database),
        queue=PartDocument.model_validate(found.queue),
        workers=tuple(_worker(worker) for worker in found.workers),
        failing=found.failing,
    )


def _metrics(found: Health) -> HealthMetrics:
    metrics = found.metrics
    return HealthMetrics(
        active_workers=len(found.workers) if metrics else None,
        total_scans_in_progress=metrics.in_progress if metrics else None,
        pending_scans=metrics.pending if metrics else None,
        recently_completed=metrics.recently_completed if metrics else None,
        recently_failed=metrics.recently_failed if metrics else None,
        recently_cancelled=metrics.recently_cancelled if metrics else None,
        oldest_pending_scan=metrics.oldest_pending_at if metrics else None,
    )


def _worker(worker: WorkerHeartbeat) -> WorkerDocument:
    docker = worker.parts.docker
    return WorkerDocument(
        host=worker.host,
        pid=worker.pid,
        concurrency=worker.concurrency,
        beat_at=worker.beat_at,
        disk_free_bytes=worker.disk_free_bytes,
        docker=PartDocument(ok=docker.ok, detail=docker.reason or worker.docker_version),
        parts=WorkerPartsDocument.model_validate(worker.parts),
    )
