"""From the facts of health to issues, advice and a status. No input or output happens here."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from safeurl.model.scan import Metrics
from safeurl.model.worker import WorkerHeartbeat
from safeurl.printable import counted

Status = Literal["healthy", "degraded", "unhealthy"]

#: A worker that sent no heartbeat for longer than this counts as lost; it sends one every 10 s.
WORKER_SILENCE = timedelta(seconds=30)
#: A worker that was started no longer ago than this is starting until its first heartbeat, which
#: waits for Docker, the gateway and the database.
START_TIME = timedelta(seconds=30)
#: A lost worker is an issue for so long.
LOST_MEMORY = timedelta(hours=1)
#: A scan that waits longer than this is an issue.
LONG_WAIT = timedelta(minutes=10)
#: More pending scans than this are an issue.
MANY_PENDING = 50
#: So many scans that failed for want of a sandbox or worker in the last hour, and such a share of
#: all that ended, are an issue; fewer may be chance.
MANY_BROKEN = 3
BROKEN_SHARE = 0.1
#: A disk with less space than this is low. SQLite, artefacts and logs are written to it.
LOW_DISK_BYTES = 1024**3
#: A disk with less space than this is full: a write also needs space for SQLite's log.
FULL_DISK_BYTES = 4 * 1024**2

_START = "Start it with `safeurl up`, or scan one URL here and now with `safeurl scan URL`."
_RUN_WORKER = "Run `safeurl worker` on a host that has Docker; scans wait until then."
_MORE_WORKERS = "Raise WORKER_CONCURRENCY or run `safeurl worker` on more hosts."
_MEBIBYTE = 1024**2
#: Processes without which no scan ends.
_NEEDED = ("maintenance", "gateway", "valkey", "worker-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the system, the database or the queue: whether it works, in one sentence."""

    ok: bool
    detail: str
    #: True if it never existed, as before the first start.
    is_absent: bool = False
    #: True if it is a server that only SafeURL itself starts.
    is_embedded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The space left on the disk of a host's state folder."""

    host: str
    free_bytes: int

    @property
    def is_full(self) -> bool:
        """True if a database on this disk cannot record scans, or soon cannot."""
        return self.free_bytes < FULL_DISK_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSystem:
    """What the processes of this host's SafeURL record about themselves."""

    #: When they were started; None if none run here, or if that is not known.
    started_at: datetime | None = None
    #: The names of those that fail at each start.
    failing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Issue:
    """A fault and its remedy, one sentence each."""

    text: str
    advice: str
    #: True if scans cannot be recorded, or if no worker is there to run them.
    is_outage: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The facts, read from database and queue, never from Docker; and what follows from them."""

    at: datetime
    database: Part
    queue: Part
    #: Workers whose last heartbeat is no older than `WORKER_SILENCE`.
    workers: tuple[WorkerHeartbeat, ...] = ()
    #: Lost workers: their last heartbeat is older than that, but no older than `LOST_MEMORY`.
    silent: tuple[WorkerHeartbeat, ...] = ()
    #: None if the database does not answer.
    metrics: Metrics | None = None
    #: Some of the unfinished scans whose rows this version cannot read.
    unreadable: tuple[str, ...] = ()
    #: Jobs of the last hour that workers refused because SafeURL did not write them.
    refused_jobs: int = 0
    #: The disk of the host that asks, if the database is on it.
    disk: Disk | None = None
    #: The system of this host.
    system: LocalSystem = LocalSystem()

    @property
    def failing(self) -> tuple[str, ...]:
        """Processes of this host's system that fail at each start."""
        return self.system.failing

    @property
    def is_starting(self) -> bool:
        """True if this host's worker began just now and has not sent a heartbeat yet."""
        began = self.system.started_at
        # A start in the future is of a clock that was set back, and says nothing.
        return began is not None and not self.workers and abs(self.at - began) < START_TIME

    @property
    def is_running(self) -> bool:
        """True if SafeURL was ever started with these settings."""
        return not self.database.is_absent

    @property
    def all_issues(self) -> tuple[Issue, ...]:
        """The faults, the most urgent first."""
        if not self.is_running:
            # All other issues would follow from this one.
            return (
                Issue(f"SafeURL is not running. {self.database.detail}", _START, is_outage=True),
            )
        found = [
            *_database(self),
            *_queue(self),
            *_unreadable(self),
            *_intruder(self),
            *_failing(self),
            *_workers(self),
            *_parts(self),
            *_pending(self),
            *_broken(self),
            *_lost(self),
            *_disks(self),
        ]
        # A stable sort: outages first, the rest in the order above.
        return tuple(dict.fromkeys(sorted(found, key=lambda issue: not issue.is_outage)))

    @property
    def issues(self) -> tuple[str, ...]:
        """The faults, one sentence each."""
        return tuple(issue.text for issue in self.all_issues)

    @property
    def recommendations(self) -> tuple[str, ...]:
        """What to do about the issues, one sentence each, without repetition."""
        return tuple(dict.fromkeys(issue.advice for issue in self.all_issues))

    @property
    def takes_scans(self) -> bool:
        """True if a scan that is submitted now is recorded."""
        return self.database.ok and not (self.disk is not None and self.disk.is_full)

    @property
    def status(self) -> Status:
        """The state of the whole system in one word.

        `healthy`: all is well. `degraded`: scans are taken, but wait, are slow or may fail.
        `unhealthy`: scans are not taken, or there are scans and no worker for them.
        """
        found = self.all_issues
        if any(issue.is_outage for issue in found):
            return "unhealthy"
        return "degraded" if found else "healthy"


def _database(health: Health) -> Iterator[Issue]:
    if not health.database.ok:
        yield Issue(
            health.database.detail,
            "Check that the database answers and that its disk is not full "
            "(TURSO_CONNECTION_URL, or SAFEURL_STATE_DIR); SafeURL recovers by itself.",
            is_outage=True,
        )


def _queue(health: Health) -> Iterator[Issue]:
    if not health.queue.ok:
        start = (
            "Run `safeurl up` or `safeurl worker` on this host, which bring it, or set REDIS_URL"
            if health.queue.is_embedded
            else "Start Redis, or check REDIS_URL, or REDIS_HOST, REDIS_PORT and REDIS_PASSWORD"
        )
        yield Issue(
            health.queue.detail,
            f"{start}; scans submitted meanwhile are recorded and start when it is back.",
        )


def _unreadable(health: Health) -> Iterator[Issue]:
    if health.unreadable:
        first, *others = health.unreadable
        more = f" and {len(others)} more" if others else ""
        yield Issue(
            f"The database holds rows that this version cannot read, of the scan {first}{more}; "
            "they are passed over.",
            "Run `safeurl audit verify`: it names rows that were changed from outside. If none "
            "were, a newer version wrote them; otherwise restore a backup.",
        )


def _intruder(health: Health) -> Iterator[Issue]:
    if health.refused_jobs:
        yield Issue(
            "Somebody else writes to the queue: workers refused "
            f"{counted(health.refused_jobs, 'job')} of the last hour.",
            "Find out who can reach Redis, change its passwords, and give API and workers users "
            "of their own (docker/valkey/users.acl); nothing of those jobs was run.",
        )


def _failing(health: Health) -> Iterator[Issue]:
    if health.failing:
        names = ", ".join(health.failing)
        verb = "fails" if len(health.failing) == 1 else "fail"
        yield Issue(
            f"Of SafeURL's processes {names} {verb} at each start.",
            "See in the log of `safeurl up` or `safeurl worker` why (`role.crashed`), and run "
            "`safeurl doctor`; scans wait meanwhile.",
            is_outage=any(name.startswith(_NEEDED) for name in health.failing),
        )


def _workers(health: Health) -> Iterator[Issue]:
    if not health.database.ok or health.workers:
        return
    if health.is_starting:
        yield Issue("The worker is starting.", "Wait some seconds; scans are taken meanwhile.")
        return
    metrics = health.metrics
    waiting = metrics.pending + metrics.in_progress if metrics else 0
    if waiting:
        wait = counted(waiting, "scan waits", "scans wait")
        yield Issue(f"No worker is running, and {wait}.", _RUN_WORKER, is_outage=True)
    else:
        yield Issue("No worker is running.", _RUN_WORKER)


def _parts(health: Health) -> Iterator[Issue]:
    for worker in health.workers:
        host, parts = worker.host, worker.parts
        if not parts.docker.ok:
            yield Issue(
                f"Docker does not work for the worker on {host}: {parts.docker.reason}",
                f"On {host}, check that the Docker engine runs and that the worker may open "
                "its socket (DOCKER_SOCKET_PATH).",
            )
        elif not parts.image.ok:
            # Without an engine it is not known whether the image is there.
            yield Issue(
                f"The worker on {host} cannot scan: {parts.image.reason}",
                f"On {host}, build the image with docker/quickstart.sh, or name one that is there "
                "(FETCHER_IMAGE).",
            )
        if not parts.gateway.ok:
            yield Issue(
                f"The worker on {host} cannot scan: {parts.gateway.reason}",
                f"On {host}, check that `safeurl gateway` runs and that the worker may open "
                "its sockets (EGRESS_DIR).",
            )


def _pending(health: Health) -> Iterator[Issue]:
    metrics = health.metrics
    if metrics is None:
        return
    advice = _MORE_WORKERS if health.workers else _RUN_WORKER
    if metrics.pending > MANY_PENDING:
        yield Issue(f"{metrics.pending:,} scans are pending.", advice)
    oldest = metrics.oldest_pending_at
    if oldest is not None and health.at - oldest > LONG_WAIT:
        waited = _span(health.at - oldest)
        yield Issue(f"The oldest pending scan was submitted {waited} ago.", advice)


def _broken(health: Health) -> Iterator[Issue]:
    metrics = health.metrics
    if metrics is None:
        return
    ended = metrics.recently_completed + metrics.recently_failed
    broken = metrics.recently_broken
    if broken >= MANY_BROKEN and broken >= ended * BROKEN_SHARE:
        yield Issue(
            f"Of {ended} scans that ended in the last hour, {broken} failed because a sandbox "
            "or worker did.",
            "Run `safeurl doctor` on the workers' hosts; "
            "`safeurl status ID` tells why a scan failed.",
        )


def _lost(health: Health) -> Iterator[Issue]:
    """Report lost workers that no later worker on the same host has replaced."""
    for lost in health.silent:
        if any(w.host == lost.host and w.started_at >= lost.beat_at for w in health.workers):
            continue
        silence = _span(health.at - lost.beat_at)
        yield Issue(
            f"The worker on {lost.host} (process {lost.pid}) was lost: "
            f"it was last heard of {silence} ago.",
            f"See on {lost.host} why it ended, and start it again; "
            "other workers take up the scans that it had.",
        )


def _disks(health: Health) -> Iterator[Issue]:
    disks = {}
    for worker in health.workers:
        if worker.parts.disk.is_readable:
            disks[worker.host] = worker.disk_free_bytes
            continue
        yield Issue(
            f"The worker on {worker.host} cannot read its state folder: {worker.parts.disk.reason}",
            f"On {worker.host}, check that SAFEURL_STATE_DIR is there, that its disk answers and "
            "that the worker may use it.",
        )
    if health.disk is not None:
        disks[health.disk.host] = health.disk.free_bytes
    for host, free_bytes in disks.items():
        if free_bytes < LOW_DISK_BYTES:
            yield Issue(
                f"The disk of the state folder on {host} has {free_bytes // _MEBIBYTE} MiB left.",
                f"Free space on {host}, or move SAFEURL_STATE_DIR to a larger disk: "
                "no scan is taken once it is full.",
                is_outage=health.disk is not None
                and health.disk.host == host
                and health.disk.is_full,
            )


def _span(span: timedelta) -> str:
    """Return a span of time for a sentence."""
    minutes = span // timedelta(minutes=1)
    if minutes < 1:
        return counted(span // timedelta(seconds=1), "second")
    hours, rest = divmod(minutes, 60)
    if hours:
        return f"{hours} h {rest} min"
    return counted(minutes, "minute")
