"""Submits URLs: records each as a scan, then sends wake-ups to the workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from safeurl.address import AddressPolicy
from safeurl.errors import QueueUnavailableError, RequestError
from safeurl.model.report import Profile
from safeurl.model.scan import Scan, new_scan_id
from safeurl.ports.queue import WakeQueue
from safeurl.ports.scans import ScanIntake
from safeurl.state import State
from safeurl.url import parse

MAX_SUBMIT = 1000
MAX_SOURCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """The result of a submit: the recorded scans, and whether the wake-ups were sent."""

    scans: tuple[Scan, ...]
    #: False if Redis did not answer. The scans are recorded, and the rescuer sends wake-ups later.
    queued: bool
    #: The reason why no wake-up was sent, in one sentence; empty if they were sent.
    warning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitRequest:
    """The URLs to scan, with their submitter."""

    urls: Sequence[str]
    #: The submitter: `cli`, `api` or a name that the caller gives.
    source: str
    profile: Profile = Profile.HTTP


async def submit(
    store: ScanIntake,
    queue: WakeQueue,
    request: SubmitRequest,
    *,
    policy: AddressPolicy,
    now: datetime,
) -> Submission:
    """Record the URLs as QUEUED scans and send wake-ups; all URLs are recorded or none.

    Raise UrlRefusedError for the first URL that can never be scanned, and StoreUnavailableError if
    no URL was recorded. After this function returns, no scan is lost.
    """
    scans = validate_urls(request, policy, now)
    await store.add(scans)
    try:
        await queue.push([scan.id for scan in scans])
    except QueueUnavailableError as error:
        waiting = "The scan is recorded and starts when the queue is back."
        return Submission(scans=scans, queued=False, warning=f"{error} {waiting}")
    return Submission(scans=scans, queued=True)


def validate_urls(request: SubmitRequest, policy: AddressPolicy, now: datetime) -> tuple[Scan, ...]:
    """Return one new scan for each URL, or raise RequestError or UrlRefusedError."""
    if not 0 < len(request.urls) <= MAX_SUBMIT:
        raise RequestError(f"Between 1 and {MAX_SUBMIT} URLs can be submitted at once.")
    if not request.source.isprintable() or not 0 < len(request.source) <= MAX_SOURCE:
        raise RequestError(f"The source is printable text of 1 to {MAX_SOURCE} characters.")
    # Ids of the same millisecond are not in order. Sorted ids keep the order of the URLs in lists.
    ids = sorted(new_scan_id(now) for _ in request.urls)
    return tuple(
        Scan(
            id=scan_id,
            url=parse(url, policy).url,
            submitted_url=url,
            profile=request.profile,
            state=State.QUEUED,
            version=0,
            attempt=0,
            source=request.source,
            created_at=now,
            updated_at=now,
            run_after=now,
        )
        for scan_id, url in zip(ids, request.urls, strict=True)
    )
