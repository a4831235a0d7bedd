"""Each issue: when it is reported, its text and advice, and the status that follows."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from safeurl.model.scan import Metrics
from safeurl.model.worker import PartStatus, WorkerHeartbeat, WorkerParts
from safeurl.services.health import (
    FULL_DISK_BYTES,
    LONG_WAIT,
    LOW_DISK_BYTES,
    MANY_BROKEN,
    MANY_PENDING,
    Disk,
    Health,
    LocalSystem,
    Part,
)
from tests.support.builders import NOW, make_beat

_IDLE = Metrics(
    pending=0,
    in_progress=0,
    recently_completed=0,
    recently_failed=0,
    recently_cancelled=0,
    recently_broken=0,
    oldest_pending_at=None,
)
_WORKER = replace(make_beat(), started_at=NOW - timedelta(days=1))
_HEALTHY = Health(
    at=NOW,
    database=Part(ok=True, detail="The database answers."),
    queue=Part(ok=True, detail="The queue answers."),
    workers=(_WORKER,),
    metrics=_IDLE,
)
_DOWN = Part(ok=False, detail="It does not answer.")
_NO_DATABASE = replace(_HEALTHY, database=_DOWN, workers=(), metrics=None)


def _failed(reason: str, *names: str) -> WorkerHeartbeat:
    """Return the worker with these parts that do not work."""
    # Any: not all parts are of this type.
    failed: dict[str, Any] = dict.fromkeys(names, PartStatus(ok=False, reason=reason))
    return replace(_WORKER, parts=WorkerParts(**failed))


_LOW = replace(_WORKER, disk_free_bytes=LOW_DISK_BYTES - 1)
_NO_FOLDER = replace(
    _WORKER,
    disk_free_bytes=0,
    parts=WorkerParts(
        disk=PartStatus(ok=False, reason="/x cannot be used: No such file.", is_readable=False)
    ),
)
_SILENT = replace(make_beat("worker-0", NOW - timedelta(minutes=3)), pid=17)


def _with(**changes: Any) -> Health:
    """Return a healthy system with these metrics."""
    # Any: the values are those of whatever field a test changes.
    return replace(_HEALTHY, metrics=replace(_IDLE, **changes))


def _oldest(age: timedelta) -> Health:
    return _with(pending=1, oldest_pending_at=NOW - age)


@pytest.mark.parametrize(
    ("health", "status", "words", "advice"),
    [
        (_NO_DATABASE, "unhealthy", "It does not answer.", "TURSO_CONNECTION_URL"),
        (replace(_HEALTHY, queue=_DOWN), "degraded", "It does not answer.", "Start Redis"),
        (
            replace(_HEALTHY, queue=replace(_DOWN, is_embedded=True)),
            "degraded",
            "It does not answer.",
            "`safeurl up`",
        ),
        (
            replace(_HEALTHY, refused_jobs=3),
            "degraded",
            "Somebody else writes to the queue: workers refused 3 jobs of the last hour.",
            "docker/valkey/users.acl",
        ),
        (
            replace(_HEALTHY, workers=()),
            "degraded",
            "No worker is running.",
            "safeurl worker",
        ),
        (
            replace(_with(pending=1), workers=()),
            "unhealthy",
            "No worker is running, and 1 scan waits.",
            "safeurl worker",
        ),
        (
            replace(_with(in_progress=2), workers=()),
            "unhealthy",
            "No worker is running, and 2 scans wait.",
            "safeurl worker",
        ),
        (
            replace(_HEALTHY, workers=(make_beat("other"), _failed("Any.", "docker"))),
            "degraded",
            "Docker does not work for the worker on host-1: Any.",
            "DOCKER_SOCKET_PATH",
        ),
        (
            # Without an engine it is not known whether the image is there.
            replace(_HEALTHY, workers=(_failed("Any.", "docker", "image"),)),
            "degraded",
            "Docker does not work for the worker on host-1: Any.",
            "DOCKER_SOCKET_PATH",
        ),
        (
            replace(_HEALTHY, workers=(_failed("Any.", "image"),)),
            "degraded",
            "The worker on host-1 cannot scan: Any.",
            "FETCHER_IMAGE",
        ),
        (
            replace(_HEALTHY, workers=(_failed("Any.", "gateway"),)),
            "degraded",
            "The worker on host-1 cannot scan: Any.",
            "EGRESS_DIR",
        ),
        (
            _with(pending=MANY_PENDING + 1),
            "degraded",
            "51 scans are pending.",
            "WORKER_CONCURRENCY",
        ),
        (
            _oldest(LONG_WAIT + timedelta(minutes=2)),
            "degraded",
            "The oldest pending scan was submitted 12 minutes ago.",
            "WORKER_CONCURRENCY",
        ),
        (
            _with(recently_completed=26, recently_failed=4, recently_broken=MANY_BROKEN),
            "degraded",
            "Of 30 scans that ended in the last hour, 3 failed because a sandbox or worker did.",
            "safeurl doctor",
        ),
        (
            replace(_HEALTHY, silent=(_SILENT,)),
            "degraded",
            "The worker on host-1 (process 17) was lost: it was last heard of 3 minutes ago.",
            "See on host-1 why it ended",
        ),
        (
            replace(_HEALTHY, workers=(_LOW,)),
            "degraded",
            "The disk of the state folder on host-1 has 1023 MiB left.",
            "Free space on host-1",
        ),
        (
            replace(_HEALTHY, workers=(replace(_WORKER, disk_free_bytes=0),)),
            "degraded",
            "The disk of the state folder on host-1 has 0 MiB left.",
            "Free space on host-1",
        ),
        (
            replace(_HEALTHY, workers=(_NO_FOLDER,)),
            "degraded",
            "The worker on host-1 cannot read its state folder: /x cannot be used: No such file.",
            "SAFEURL_STATE_DIR is there",
        ),
        (
            replace(_HEALTHY, disk=Disk(host="host-2", free_bytes=FULL_DISK_BYTES)),
            "degraded",
            "The disk of the state folder on host-2 has 4 MiB left.",
            "Free space on host-2",
        ),
        (
            replace(_HEALTHY, disk=Disk(host="host-2", free_bytes=FULL_DISK_BYTES - 1)),
            "unhealthy",
            "The disk of the state folder on host-2 has 3 MiB left.",
            "Free space on host-2",
        ),
    ],
)
def test_each_thing_that_is_wrong_is_said(
    health: Health, status: str, words: str, advice: str
) -> None:
    """One sentence gives the fault and one the advice, and the status has the right degree."""
    assert health.issues == (words,)
    assert len(health.recommendations) == 1
    assert advice in health.recommendations[0]
    assert health.status == status


@pytest.mark.parametrize(
    "health",
    [
        _HEALTHY,
        _with(pending=MANY_PENDING),
        _oldest(LONG_WAIT),
        _with(recently_failed=MANY_BROKEN - 1, recently_broken=MANY_BROKEN - 1),
        _with(recently_completed=28, recently_failed=3, recently_broken=MANY_BROKEN),
        _with(recently_failed=500),
        _with(recently_cancelled=500),
        replace(_HEALTHY, disk=Disk(host="host-2", free_bytes=LOW_DISK_BYTES)),
    ],
)
def test_up_to_each_bound_all_is_well(health: Health) -> None:
    """A short queue, a short wait, a failed sandbox and unreachable pages are not issues."""
    assert (health.status, health.issues, health.recommendations) == ("healthy", (), ())


@pytest.mark.parametrize(
    ("health", "takes"),
    [
        (_HEALTHY, True),
        (replace(_HEALTHY, workers=(), queue=_DOWN), True),
        (replace(_HEALTHY, disk=Disk(host="host-2", free_bytes=FULL_DISK_BYTES)), True),
        (replace(_HEALTHY, disk=Disk(host="host-2", free_bytes=FULL_DISK_BYTES - 1)), False),
        (_NO_DATABASE, False),
    ],
)
def test_scans_are_taken_while_they_can_be_recorded(health: Health, *, takes: bool) -> None:
    """Only the database and its disk decide; queue and workers may be repaired later."""
    assert health.takes_scans is takes


def test_a_lost_worker_is_forgotten_when_another_takes_its_place() -> None:
    """A worker that started on the same host after its last heartbeat replaces it."""
    lost = replace(_HEALTHY, silent=(_SILENT,))
    after = _SILENT.beat_at + timedelta(seconds=5)
    successor = replace(make_beat("worker-2"), started_at=after)
    elsewhere = replace(successor, host="host-2")
    before = replace(successor, started_at=_SILENT.beat_at - timedelta(seconds=5))
    assert replace(lost, workers=(successor,)).status == "healthy"
    assert replace(lost, workers=(elsewhere,)).status == "degraded"
    assert replace(lost, workers=(before,)).status == "degraded"


def test_the_most_urgent_comes_first_and_no_advice_twice() -> None:
    """A page with space for one sentence shows the most important one."""
    metrics = replace(_IDLE, pending=90, oldest_pending_at=NOW - timedelta(hours=2, minutes=5))
    health = replace(_HEALTHY, queue=_DOWN, workers=(), silent=(_SILENT,), metrics=metrics)
    assert health.status == "unhealthy"
    assert health.issues[:2] == ("No worker is running, and 90 scans wait.", "It does not answer.")
    assert "The oldest pending scan was submitted 2 h 5 min ago." in health.issues
    assert len(health.issues) == 5
    assert len(health.recommendations) == 3


def test_a_folder_that_cannot_be_read_is_no_full_disk() -> None:
    """Its 0 bytes mean nothing: no issue speaks of space."""
    assert len(replace(_HEALTHY, workers=(_NO_FOLDER,)).issues) == 1


def _begun(seconds_ago: float, **changes: Any) -> Health:
    """Return a system of this host that began so long ago and has no worker yet."""
    # Any: the values are those of whatever field a test changes.
    began = LocalSystem(started_at=NOW - timedelta(seconds=seconds_ago))
    return replace(_HEALTHY, workers=(), system=began, **changes)


def test_a_worker_that_was_just_started_is_starting() -> None:
    """Scans may wait; after half a minute without a heartbeat there is no worker."""
    for health in (_begun(0), _begun(29), _begun(5, metrics=replace(_IDLE, pending=3))):
        assert health.is_starting
        assert (health.status, health.issues) == ("degraded", ("The worker is starting.",))
    assert _begun(31).issues == ("No worker is running.",)
    # The clock was set back by an hour.
    assert _begun(-3600).issues == ("No worker is running.",)
    assert replace(_begun(5), workers=(_WORKER,)).issues == ()
    assert not replace(_begun(5), workers=(_WORKER,)).is_starting
    assert "No worker is running." not in _begun(5, database=_DOWN).issues


def test_the_same_disk_is_told_of_once() -> None:
    """If worker and database share a disk, the newer number counts."""
    health = replace(_HEALTHY, workers=(_LOW,), disk=Disk(host="host-1", free_bytes=5 * 1024**2))
    assert health.issues == ("The disk of the state folder on host-1 has 5 MiB left.",)


@pytest.mark.parametrize(
    ("silence_s", "span"), [(31, "31 seconds"), (60, "1 minute"), (3599, "59 minutes")]
)
def test_spans_are_told_in_words(silence_s: int, span: str) -> None:
    """Seconds, one minute, minutes."""
    silent = make_beat("worker-0", NOW - timedelta(seconds=silence_s))
    [words] = replace(_HEALTHY, silent=(silent,)).issues
    assert words.endswith(f"last heard of {span} ago.")
