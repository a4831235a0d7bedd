"""The form in which health is shown."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from api.native.health import document
from safeurl.model.scan import Metrics
from safeurl.model.worker import PartStatus, WarmPool, WorkerHeartbeat, WorkerParts
from safeurl.services.health import Health, LocalSystem, Part

_NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_BEAT = WorkerHeartbeat(
    id="w1",
    host="scan-1",
    pid=42,
    concurrency=5,
    started_at=_NOW,
    beat_at=_NOW,
    docker_version="20.10.24",
    parts=WorkerParts(),
    disk_free_bytes=10**10,
)
_METRICS = Metrics(
    pending=3,
    in_progress=2,
    recently_completed=7,
    recently_failed=1,
    recently_cancelled=4,
    recently_broken=0,
    oldest_pending_at=_NOW - timedelta(seconds=5),
)
_HEALTHY = Health(
    at=_NOW,
    database=Part(ok=True, detail="The database answers."),
    queue=Part(ok=True, detail="The queue answers."),
    workers=(_BEAT,),
    metrics=_METRICS,
)
_DOWN = Part(ok=False, detail="It does not answer.")


def test_the_form_is_the_one_that_monitoring_reads() -> None:
    """Names are camel case and every member is there."""
    away = WorkerParts(
        gateway=PartStatus(ok=False, reason="It is away."),
        pool=WarmPool(size=2, target=3, hits=40, misses=1, failed_starts=2),
    )
    health = replace(
        _HEALTHY, workers=(replace(_BEAT, parts=away),), system=LocalSystem(failing=("gateway",))
    )
    shown = document(health).model_dump(mode="json", by_alias=True)
    assert shown.pop("recommendations") == list(health.recommendations)
    assert shown.pop("health") == {"status": "unhealthy", "issues": list(health.issues)}
    assert shown == {
        "timestamp": "2026-03-01T12:00:00Z",
        "metrics": {
            "activeWorkers": 1,
            "totalScansInProgress": 2,
            "pendingScans": 3,
            "recentlyCompleted": 7,
            "recentlyFailed": 1,
            "recentlyCancelled": 4,
            "oldestPendingScan": "2026-03-01T11:59:55Z",
        },
        "database": {"ok": True, "detail": "The database answers."},
        "queue": {"ok": True, "detail": "The queue answers."},
        "workers": [
            {
                "host": "scan-1",
                "pid": 42,
                "concurrency": 5,
                "beatAt": "2026-03-01T12:00:00Z",
                "diskFreeBytes": 10**10,
                "docker": {"ok": True, "detail": "20.10.24"},
                "parts": {
                    "docker": {"ok": True, "reason": ""},
                    "image": {"ok": True, "reason": ""},
                    "gateway": {"ok": False, "reason": "It is away."},
                    "disk": {"ok": True, "reason": ""},
                    "pool": {"size": 2, "target": 3, "hits": 40, "misses": 1, "failedStarts": 2},
                },
            }
        ],
        "failing": ["gateway"],
    }


def test_what_is_unknown_is_null() -> None:
    """Without a database nothing can be counted, and nothing is claimed."""
    shown = document(replace(_HEALTHY, database=_DOWN, workers=(), metrics=None))
    assert shown.health.status == "unhealthy"
    assert set(shown.metrics.model_dump().values()) == {None}


def test_issues_and_advice_are_those_of_the_core() -> None:
    """The document adds nothing to the findings and omits none."""
    health = replace(_HEALTHY, queue=_DOWN, workers=())
    shown = document(health)
    assert shown.health.status == "unhealthy"
    assert shown.health.issues == health.issues
    assert shown.recommendations == health.recommendations
