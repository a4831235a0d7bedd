"""What people can ask of SafeURL; every face (command line, HTTP) calls these and nothing below."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from safeurl.address import DEFAULT_POLICY, AddressPolicy
from safeurl.errors import (
    QueueUnavailableError,
    RequestError,
    ScanFinishedError,
    ScanNotFoundError,
    StoreAbsentError,
    StoreUnavailableError,
    UnavailableError,
)
from safeurl.model.report import Profile
from safeurl.model.scan import (
    Artefact,
    AuditEntry,
    Result,
    Scan,
    VerdictSummary,
    is_scan_id,
    new_scan_id,
)
from safeurl.model.verdict import is_concluded
from safeurl.ports.clock import Clock
from safeurl.ports.queue import WakeQueue
from safeurl.ports.scans import ScanStore
from safeurl.printable import counted
from safeurl.services.conclusion import final_without_page
from safeurl.services.health import LOST_MEMORY, WORKER_SILENCE, Disk, Health, Part
from safeurl.state import Outcome, State, is_final
from safeurl.url import parse

MAX_PAGE = 200
MAX_SUBMIT = 1000
MAX_SOURCE = 100
#: Scans of each kind that health looks at for rows that cannot be read.
_LOOK = 10
#: A scan makes far fewer moves than this in all its attempts, and each costs a cancel one try.
_CANCEL_TRIES = 50


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


class Service:
    """The use cases over a store and a queue. Holds no state of its own."""

    def __init__(  # noqa: PLR0913 - each is a part that it uses
        self,
        store: ScanStore,
        queue: WakeQueue,
        clock: Clock,
        policy: AddressPolicy = DEFAULT_POLICY,
        *,
        disk: Callable[[], Disk | None] = lambda: None,
        failing: Callable[[], tuple[str, ...]] = lambda: (),
    ) -> None:
        """Wire the parts; they are closed by whoever made them. `disk` looks at this host's.

        `failing` names processes of this host's system that fail at each start.
        """
        self._store = store
        self._queue = queue
        self._clock = clock
        self._policy = policy
        self._disk = disk
        self._failing = failing

    def normalised(self, url: str) -> str:
        """Return the URL as it would be fetched, or raise UrlRefusedError."""
        return parse(url, self._policy).url

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
        if before is not None and not is_scan_id(before):
            raise RequestError("`before` must be the id of a scan.")
        return await self._store.page(limit=limit, before=before)

    async def judged(self, scans: Sequence[Scan]) -> dict[str, VerdictSummary]:
        """Return, by id, what was concluded of those that are final.

        Of one that was cancelled before, nothing was.
        """
        final = {scan.id: scan for scan in scans if is_final(scan.state)}
        found = await self._store.judged(list(final))
        return {key: each for key, each in found.items() if is_concluded(final[key], each.verdict)}

    async def cancel(self, scan_id: str, *, actor: str) -> Scan:
        """End an unfinished scan as FAILED `cancelled` and return it; its worker lets go of it.

        A scan that was cancelled before is returned as it is. Raises ScanFinishedError where
        another end came first, and ScanNotFoundError.
        """
        for _ in range(_CANCEL_TRIES):
            scan = await self.scan(scan_id)
            if scan.outcome is Outcome.CANCELLED:
                return scan
            if is_final(scan.state):
                raise ScanFinishedError(scan_id, scan.state)
            now = self._clock()
            ending = final_without_page(scan, Outcome.CANCELLED, detail=None, now=now)
            cancelled = await self._store.finish(scan, ending, now=now, actor=actor)
            if cancelled is not None:
                return cancelled
        raise StoreUnavailableError("The scan moves on too fast to be cancelled. Try again.")

    async def health(self) -> Health:
        """Return what works; never raises for a part that does not."""
        now = self._clock()
        try:
            await self._store.ping()
            heard = await self._store.workers(since=now - LOST_MEMORY)
            metrics = await self._store.metrics(now=now)
            unreadable = await self._unreadable(now)
            database = Part(ok=True, detail="The database answers.")
        except UnavailableError as error:
            is_absent = isinstance(error, StoreAbsentError)
            database = Part(ok=False, detail=str(error), is_absent=is_absent)
            heard, metrics, unreadable = [], None, ()
        queue, refused = await self._queue_part()
        silent_since = now - WORKER_SILENCE
        return Health(
            at=now,
            database=database,
            queue=queue,
            refused_jobs=refused,
            unreadable=unreadable,
            workers=tuple(beat for beat in heard if beat.beat_at >= silent_since),
            silent=tuple(beat for beat in heard if beat.beat_at < silent_since),
            metrics=metrics,
            disk=self._disk(),
            failing=self._failing(),
        )

    async def _unreadable(self, now: datetime) -> tuple[str, ...]:
        """Return the scans that cannot be read, of those whose turn is next or that are at work.

        What nobody takes up comes to stand there.
        """
        found: list[str] = []
        await self._store.due(now=now, limit=_LOOK, on_unreadable=found.append)
        await self._store.leased(limit=_LOOK, on_unreadable=found.append)
        return tuple(found)

    async def queue(self) -> Part:
        """Return how the queue does; the database is not asked."""
        return (await self._queue_part())[0]

    async def _queue_part(self) -> tuple[Part, int]:
        """Return how the queue does, and how many of its jobs were refused of late."""
        try:
            waiting = await self._queue.ping()
            refused = await self._queue.refused()
        except UnavailableError as error:
            return Part(ok=False, detail=str(error)), 0
        wait = counted(waiting, "wake-up waits", "wake-ups wait")
        return Part(ok=True, detail=f"The queue answers; {wait}."), refused
