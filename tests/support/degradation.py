"""The faults, their signs and their effects: the table of docs/operations.md, with its tests."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Degradation:
    """One row; `test` is the node id of the test that plays the fault."""

    fault: str
    seen: str
    after: str
    test: str


_REDIS = "tests/integration/test_degradation_redis.py::"
_DOCKER = "tests/integration/test_degradation_docker.py::"
_DATABASE = "tests/integration/test_degradation_database.py::"
_OTHERS = "tests/integration/test_degradation_others.py::"

_NOTHING = "Only a delay of seconds; `/health` stays healthy."

DEGRADATIONS: Sequence[Degradation] = (
    Degradation(
        fault="Redis is down",
        seen="`/health` degraded: “Redis does not answer: …”. Submits are taken (202, exit 0) "
        "with the warning “The scan is recorded and starts when the queue is back.”",
        after="Running scans complete without it. Once it is back, the rescuer sends every "
        "missing wake-up within seconds.",
        test=_REDIS + "test_redis_down",
    ),
    Degradation(
        fault="Redis is flushed",
        seen=_NOTHING,
        after="The rescuer sends the lost wake-ups again. Running scans are not disturbed.",
        test=_REDIS + "test_redis_flushed",
    ),
    Degradation(
        fault="Redis is restarted, even if it loses all its data",
        seen=_NOTHING,
        after="The rescuer sends the lost wake-ups again, and the workers connect again.",
        test=_REDIS + "test_redis_restarted",
    ),
    Degradation(
        fault="Redis is full (`maxmemory`, no eviction)",
        seen="`/health` degraded: “Redis is full: it takes no writes (maxmemory).” Submits as "
        "with Redis down.",
        after="Running scans complete. Workers wait until Redis has room, and then scans start.",
        test=_REDIS + "test_redis_full",
    ),
    Degradation(
        fault="Docker is down",
        seen="Within ten seconds `/health` degraded: “Docker does not work for the worker on …: "
        "Docker does not answer (…): start the engine, …”.",
        after="Scans are taken and wait as QUEUED. They run as soon as the engine is back; the "
        "wait costs no attempt.",
        test=_DOCKER + "test_docker_down",
    ),
    Degradation(
        fault="Docker is restarted during a scan",
        seen="The scan goes back to QUEUED with `sandbox_unavailable`; `/health` is degraded "
        "only while the engine is away.",
        after="It is tried again after 1, 2 and 4 minutes (`RETRY_BACKOFF_SECONDS`) and "
        "completes. No container is left.",
        test=_DOCKER + "test_docker_restarted",
    ),
    Degradation(
        fault="Docker is slow",
        seen="Scans take longer. If an answer takes five seconds or more, `/health` is degraded: "
        "“Docker did not answer in time.”",
        after="A scan completes at its first attempt if all calls to Docker together end before "
        "the deadline of the attempt, which is 30 seconds after `CONTAINER_TIMEOUT_MS`.",
        test=_DOCKER + "test_docker_slow",
    ),
    Degradation(
        fault="The egress gateway is away",
        seen="Within fifteen seconds `/health` degraded: “The worker on … cannot scan: The "
        "egress gateway in … does not answer …”.",
        after="Scans are taken and wait as QUEUED. They run as soon as the gateway is back; the "
        "wait costs no attempt. A scan that was running is tried again.",
        test=_OTHERS + "test_gateway_away",
    ),
    Degradation(
        fault="The fetcher's image is missing",
        seen="`/health` degraded, and the scans that were started say: “The image … is not on "
        "this host: build it with docker/quickstart.sh or set FETCHER_IMAGE.”",
        after="These scans are tried again after 1, 2 and 4 minutes. All others wait as QUEUED, "
        "or other hosts run them. They run here as soon as the image exists; the wait costs "
        "no attempt.",
        test=_DOCKER + "test_image_missing",
    ),
    Degradation(
        fault="SQLite is locked by another process for 20 s",
        seen="A submit waits ten seconds, then 503 or exit 75: “The database … is locked.” Lists "
        "and `/health` answer meanwhile.",
        after="Writes that still wait succeed when the lock is released. Workers keep running, "
        "and running scans complete, some of them by another attempt.",
        test=_DATABASE + "test_database_locked_20_s",
    ),
    Degradation(
        fault="The disk of the state folder is full, SQLite on it",
        seen="Submits: 503 or exit 75, “The disk that holds the database is full: …”. `/health` "
        "unhealthy (503): “The disk of the state folder on … has 0 MiB left.”",
        after="No scan is taken. Once there is room, the scans that were taken before run; a scan "
        "whose result could not be recorded is fetched again.",
        test=_DATABASE + "test_disk_full",
    ),
    Degradation(
        fault="The state folder is read-only",
        seen="`/health` unhealthy (503), submits 503 or exit 75: “The database file cannot be "
        "opened: …”. A worker does not start (exit 78): “… may not be written by this "
        "user.”",
        after="The API recovers by itself, the worker at its next start. Then the scans that were "
        "taken before run.",
        test=_DATABASE + "test_disk_read_only",
    ),
    Degradation(
        fault="sqld is killed",
        seen="`/health` unhealthy (503): “The database server cannot be reached (http://…).” A "
        "submit waits 20 seconds, then 503 or exit 75 with the same sentence.",
        after="Workers keep running. Once sqld is back, waiting scans run; a scan whose result "
        "could not be recorded is fetched again.",
        test=_DATABASE + "test_sqld_killed",
    ),
    Degradation(
        fault="The clock is set back by an hour",
        seen=_NOTHING,
        after="Running scans end and are not mistaken for lost ones. Waiting scans run at once, "
        "also retries that had a pause left: times in the future are ignored.",
        test=_OTHERS + "test_clock_set_back",
    ),
    Degradation(
        fault="The worker that runs a scan is killed",
        seen="Only a delay; the scan's audit trail says “The worker … was lost.”",
        after="The scan is QUEUED again within seconds. If its whole host was lost, this happens "
        "when its lease has run out (`LEASE_SECONDS`). It then runs before all waiting "
        "scans.",
        test=_OTHERS + "test_worker_killed",
    ),
    Degradation(
        fault="10,000 scans are queued",
        seen="`/health`: “10,000 scans are pending.”, and unhealthy while no worker runs. Lists "
        "and `/health` answer at once.",
        after="They run in the order of their submission. If Redis loses all wake-ups, those of "
        "the 1,000 oldest scans are sent again within seconds, then those of the next.",
        test=_OTHERS + "test_10000_queued",
    ),
)


def table() -> str:
    """Return the rows as docs/operations.md shows them."""
    rows = [f"| {row.fault} | {row.seen} | {row.after} |" for row in DEGRADATIONS]
    return "\n".join(["| Fault | What you see | What happens |", "|---|---|---|", *rows])
