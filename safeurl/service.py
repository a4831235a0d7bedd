"""What people can ask of SafeURL; every face (command line, HTTP) calls these and nothing below."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from safeurl.address import DEFAULT_POLICY, AddressPolicy
from safeurl.errors import (
    QueueUnavailableError,
    RequestError,
    ScanNotFoundError,
    UnavailableError,
    UrlRefusedError,
)
from safeurl.ports import Clock, ScanStore, WakeQueue
from safeurl.report import Profile
from safeurl.scan import Artefact, AuditEntry, Metrics, Result, Scan, WorkerBeat, new_scan_id
from safeurl.state import State
from safeurl.url import parse

#: Workers that were silent longer than this count as gone; they beat every ten seconds.
WORKER_SILENCE = timedelta(seconds=30)
MAX_PAGE = 200
MAX_SUBMIT = 1000
MAX_SOURCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """What a submit did: the scans as recorded, and whether the workers were told."""

    scans: tuple[Scan, ...]
    #: False when Redis did not answer: the scans stand and the rescuer will wake a worker.
    queued: bool
    #: Why not, in one sentence; empty when they were told.
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanView:
    """A scan with everything known about it."""

    scan: Scan
    result: Result | None
    artefacts: tuple[Artefact, ...]
    evidence_json: str | None
    audit: tuple[AuditEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the system: whether it works, and a sentence about it."""

    ok: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What works now; gathered from database and queue, never from Docker."""

    at: datetime
    database: Part
    queue: Part
    workers: tuple[WorkerBeat, ...]
    metrics: Metrics | None

    @property
    def issues(self) -> tuple[str, ...]:
        """What is wrong, one sentence each."""
        found = [part.detail for part in (self.database, self.queue) if not part.ok]
        if self.database.ok and not self.workers:
            found.append("No worker is running. Start one with `safeurl worker`.")
        found += [
            f"Docker does not work for the worker on {beat.host}: {beat.docker_detail}"
            for beat in self.workers
            if not beat.docker_ok
        ]
        return tuple(found)

    @property
    def status(self) -> str:
        """`healthy`, `degraded` (scans are taken but wait) or `unhealthy` (none are taken)."""
        if not self.database.ok:
            return "unhealthy"
        return "degraded" if self.issues else "healthy"


class Service:
    """The use cases over a store and a queue. Holds no state of its own."""

    def __init__(
        self,
        store: ScanStore,
        queue: WakeQueue,
        clock: Clock,
        policy: AddressPolicy = DEFAULT_POLICY,
    ) -> None:
        """Wire the parts; they are closed by whoever made them."""
        self._store = store
        self._queue = queue
        self._clock = clock
        self._policy = policy

    def sift(self, urls: Sequence[str]) -> tuple[list[str], list[tuple[str, UrlRefusedError]]]:
        """Part the URLs that can be scanned from those that cannot, each with its reason."""
        good: list[str] = []
        refused: list[tuple[str, UrlRefusedError]] = []
        for url in urls:
            try:
                parse(url, self._policy)
            except UrlRefusedError as error:
                refused.append((url, error))
            else:
                good.append(url)
        return good, refused

    async def submit(
        self, urls: Sequence[str], *, source: str, profile: Profile = Profile.HTTP
    ) -> Submission:
        """Record the URLs as QUEUED scans and wake workers; all are recorded or none.

        Raises UrlRefusedError for the first URL that can never be scanned and
        StoreUnavailableError when nothing was recorded. After this returns, no scan is lost.
        """
        if not 0 < len(urls) <= MAX_SUBMIT:
            raise RequestError(f"Between 1 and {MAX_SUBMIT} URLs can be submitted at once.")
        if not source.isprintable() or not 0 < len(source) <= MAX_SOURCE:
            raise RequestError(f"The source is printable text of 1 to {MAX_SOURCE} characters.")
        now = self._clock()
        # Sorted, because ids of one millisecond are not: a list keeps the order of its submission.
        ids = sorted(new_scan_id(now) for _ in urls)
        scans = tuple(
            self._new_scan(scan_id, url, source, profile, now)
            for scan_id, url in zip(ids, urls, strict=True)
        )
        await self._store.add(scans)
        try:
            await self._queue.push([scan.id for scan in scans])
        except QueueUnavailableError as error:
            waiting = "The scan is recorded and starts when the queue is back."
            return Submission(scans=scans, queued=False, warning=f"{error} {waiting}")
        return Submission(scans=scans, queued=True)

    def _new_scan(
        self, scan_id: str, url: str, source: str, profile: Profile, now: datetime
    ) -> Scan:
        return Scan(
            id=scan_id,
            url=parse(url, self._policy).url,
            submitted_url=url,
            profile=profile,
            state=State.QUEUED,
            version=0,
            attempt=0,
            source=source,
            created_at=now,
            updated_at=now,
            run_after=now,
        )

    async def scan(self, scan_id: str) -> Scan:
        """Return the scan, or raise ScanNotFoundError."""
        # Text that is no id may not even be Unicode, and then no database takes it.
        found = await self._store.get(scan_id) if scan_id.isascii() else None
        if found is None:
            raise ScanNotFoundError(scan_id)
        return found

    async def view(self, scan_id: str) -> ScanView:
        """Return the scan with its result, evidence, artefacts and audit trail."""
        return ScanView(
            scan=await self.scan(scan_id),
            result=await self._store.result(scan_id),
            artefacts=tuple(await self._store.artefacts(scan_id)),
            evidence_json=await self._store.evidence(scan_id),
            audit=tuple(await self._store.audit(scan_id)),
        )

    async def page(self, *, limit: int, before: str | None = None) -> list[Scan]:
        """Return scans newest first; `before` is the last id of the page before."""
        if not 0 < limit <= MAX_PAGE:
            raise RequestError(f"`limit` must lie between 1 and {MAX_PAGE}.")
        if before is not None and not before.isascii():
            raise RequestError("`before` must be the id of a scan.")
        return await self._store.page(limit=limit, before=before)

    async def health(self) -> Health:
        """Return what works; never raises for a part that does not."""
        now = self._clock()
        try:
            await self._store.ping()
            workers = tuple(await self._store.workers(since=now - WORKER_SILENCE))
            metrics = await self._store.metrics(now=now)
            database = Part(ok=True, detail="The database answers.")
        except UnavailableError as error:
            workers, metrics, database = (), None, Part(ok=False, detail=str(error))
        return Health(
            at=now,
            database=database,
            queue=await self._queue_part(),
            workers=workers,
            metrics=metrics,
        )

    async def _queue_part(self) -> Part:
        try:
            waiting = await self._queue.ping()
        except UnavailableError as error:
            return Part(ok=False, detail=str(error))
        return Part(ok=True, detail=f"The queue answers; {waiting} wake-ups wait.")
