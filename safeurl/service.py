"""The use cases of SafeURL in one class; the commands and the API call only this class."""

from collections.abc import Callable, Sequence
from typing import Protocol

from safeurl.address import DEFAULT_POLICY, AddressPolicy
from safeurl.model.report import Profile
from safeurl.model.scan import Scan, VerdictSummary
from safeurl.model.view import ScanView
from safeurl.ports.clock import Clock
from safeurl.ports.queue import WakeQueue
from safeurl.ports.scans import ScanIntake, ScanReader
from safeurl.ports.view import ViewReader
from safeurl.services import cancel, health_facts, query, submit
from safeurl.services.health import Disk, Health, LocalSystem, Part
from safeurl.url import parse


class ServiceStore(
    ScanIntake, ScanReader, ViewReader, cancel.CancelStore, health_facts.HealthStore, Protocol
):
    """The parts of the database that the use cases need."""


class Service:
    """The use cases of `safeurl.services` with a store and a queue. It has no state of its own."""

    def __init__(  # noqa: PLR0913 - each is a part that it uses
        self,
        store: ServiceStore,
        queue: WakeQueue,
        clock: Clock,
        policy: AddressPolicy = DEFAULT_POLICY,
        *,
        disk: Callable[[], Disk | None] = lambda: None,
        system: Callable[[], LocalSystem] = LocalSystem,
    ) -> None:
        """Store the parts, which the caller closes. `disk` returns the free space of this host.

        `system` returns what the processes of this host record about themselves.
        """
        self._store = store
        self._queue = queue
        self._clock = clock
        self._policy = policy
        self._disk = disk
        self._system = system

    def normalised(self, url: str) -> str:
        """Return the normalised URL that a scan would fetch, or raise UrlRefusedError."""
        return parse(url, self._policy).url

    async def submit(
        self, urls: Sequence[str], *, source: str, profile: Profile = Profile.HTTP
    ) -> submit.Submission:
        """Record the URLs as scans and send wake-ups; see `services.submit`."""
        request = submit.SubmitRequest(urls=urls, source=source, profile=profile)
        return await submit.submit(
            self._store, self._queue, request, policy=self._policy, now=self._clock()
        )

    async def scan(self, scan_id: str) -> Scan:
        """Return the scan, or raise ScanNotFoundError."""
        return await query.find(self._store, scan_id)

    async def view(self, scan_id: str) -> ScanView:
        """Return the scan with everything known about it, or raise ScanNotFoundError."""
        return await query.view(self._store, scan_id)

    async def page(self, *, limit: int, before: str | None = None) -> list[Scan]:
        """Return scans, newest first; `before` is the last id of the previous page."""
        return await query.page(self._store, limit=limit, before=before)

    async def summaries(self, scans: Sequence[Scan]) -> dict[str, VerdictSummary]:
        """Return the verdicts of the final scans among these, by id."""
        return await query.summaries(self._store, scans)

    async def cancel(self, scan_id: str, *, actor: str) -> Scan:
        """End an unfinished scan as FAILED `cancelled`; see `services.cancel`."""
        return await cancel.cancel(self._store, scan_id, actor=actor, clock=self._clock)

    async def health(self) -> Health:
        """Return which parts work; a part that does not work raises no error."""
        return await health_facts.read_health(
            self._store,
            self._queue,
            now=self._clock(),
            disk=self._disk(),
            system=self._system(),
        )

    async def queue(self) -> Part:
        """Return whether the queue works, without using the database."""
        return (await health_facts.read_queue(self._queue))[0]
