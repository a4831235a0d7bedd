"""The form in which health is shown, and what is recommended for each thing that is wrong."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from api.health import LONG_WAIT, document, recommend
from safeurl.scan import Metrics, WorkerBeat
from safeurl.service import Health, Part

_NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_BEAT = WorkerBeat(
    id="w1",
    host="scan-1",
    pid=42,
    concurrency=5,
    started_at=_NOW,
    beat_at=_NOW,
    docker_ok=True,
    docker_detail="20.10.24",
)
_METRICS = Metrics(
    pending=3,
    in_progress=2,
    recently_completed=7,
    recently_failed=1,
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
_NO_DOCKER = replace(_BEAT, docker_ok=False, docker_detail="Permission denied.")


def test_the_form_is_the_one_that_monitoring_reads() -> None:
    """Names are camel case and every member is there."""
    assert document(_HEALTHY).model_dump(mode="json", by_alias=True) == {
        "timestamp": "2026-03-01T12:00:00Z",
        "health": {"status": "healthy", "issues": []},
        "metrics": {
            "activeWorkers": 1,
            "totalScansInProgress": 2,
            "pendingScans": 3,
            "recentlyCompleted": 7,
            "oldestPendingScan": "2026-03-01T11:59:55Z",
        },
        "recommendations": [],
        "database": {"ok": True, "detail": "The database answers."},
        "queue": {"ok": True, "detail": "The queue answers."},
        "workers": [
            {
                "host": "scan-1",
                "pid": 42,
                "concurrency": 5,
                "beatAt": "2026-03-01T12:00:00Z",
                "docker": {"ok": True, "detail": "20.10.24"},
            }
        ],
    }


def test_what_is_unknown_is_null() -> None:
    """Without a database nothing can be counted, and nothing is claimed."""
    shown = document(replace(_HEALTHY, database=_DOWN, workers=(), metrics=None))
    assert shown.health.status == "unhealthy"
    assert set(shown.metrics.model_dump().values()) == {None}


@pytest.mark.parametrize(
    ("health", "words"),
    [
        (_HEALTHY, ()),
        (replace(_HEALTHY, database=_DOWN, workers=(), metrics=None), ("TURSO_CONNECTION_URL",)),
        (replace(_HEALTHY, queue=_DOWN), ("REDIS_HOST",)),
        (replace(_HEALTHY, workers=()), ("safeurl worker",)),
        (replace(_HEALTHY, workers=(_BEAT, _NO_DOCKER)), ("DOCKER_SOCKET_PATH",)),
        (
            replace(_HEALTHY, metrics=replace(_METRICS, oldest_pending_at=_NOW - LONG_WAIT * 1.1)),
            ("WORKER_CONCURRENCY",),
        ),
        (replace(_HEALTHY, queue=_DOWN, workers=()), ("REDIS_HOST", "safeurl worker")),
    ],
)
def test_each_issue_has_its_recommendation(health: Health, words: tuple[str, ...]) -> None:
    """Nothing is recommended without an issue, and each issue names what to look at."""
    found = list(recommend(health))
    assert len(found) == len(words)
    assert all(word in sentence for word, sentence in zip(words, found, strict=True))
