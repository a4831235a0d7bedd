"""The documents of the HTTP API, as its OpenAPI schema shows them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from safeurl.model.attempt import Attempt
from safeurl.model.report import Profile
from safeurl.model.verdict import Category, Group, Judgement
from safeurl.services.health import Status
from safeurl.state import Outcome, State

_EXAMPLE_ID = "019a3f2c-7d1e-7c4b-9f60-2b8f4f0f9a11"
_EXAMPLE_URL = "https://login.example.com/session"


class _Document(BaseModel):
    """The base of all documents, which are made from values with attributes or keys."""

    model_config = ConfigDict(from_attributes=True)


class SubmitRequest(BaseModel):
    """What to scan."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: str = Field(
        description="The URL, as found; defanged forms such as `hxxps://a[.]example` are read too.",
        examples=["hxxps://login[.]example[.]com/session"],
    )
    profile: Literal["http"] = Field(
        default="http", description="How to look at the page: `http` reads it without running it."
    )


class PastedRequest(BaseModel):
    """Text in which URLs are to be found."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: str = Field(
        description="What was pasted: URLs with spaces, commas, lines or words between them.",
        examples=["Look at hxxps://login[.]example[.]com/session, and at example.org"],
    )


class FoundUrl(_Document):
    """A URL in a text, and whether it can be scanned."""

    text: str = Field(description="As it is in the text.")
    url: str | None = Field(description="Normalised; null where it is refused.")
    code: str | None = Field(
        default=None, description="`url_refused` where it is.", examples=["url_refused"]
    )
    reason: str | None = Field(
        default=None, description="The rule behind it.", examples=["loopback"]
    )
    message: str | None = Field(default=None, description="Why, in one sentence.")


class PastedDocument(_Document):
    """What a text holds."""

    urls: tuple[FoundUrl, ...] = Field(description="In their order, each once.")
    left_out: tuple[str, ...] = Field(description="The words that are no URLs.")


class ScanDocument(_Document):
    """One submitted URL and its state."""

    id: str = Field(examples=[_EXAMPLE_ID])
    url: str = Field(description="Normalised; this is what is fetched.", examples=[_EXAMPLE_URL])
    submitted_url: str = Field(
        description="As it was submitted.", examples=["hxxps://login[.]example[.]com/session"]
    )
    profile: Profile
    state: State
    final: bool = Field(description="Whether nothing more will happen to this scan.")
    attempt: int = Field(description="How many times a worker has claimed it.")
    source: str = Field(description="Who submitted it.", examples=["api"])
    outcome: Outcome | None = Field(description="How the last attempt ended.")
    outcome_text: str | None = Field(description="The outcome in one sentence.")
    detail: str | None = Field(description="What went wrong, in one sentence.")
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


class SubmittedScan(ScanDocument):
    """A scan that was just recorded, and whether its wake-up was sent."""

    queued: bool = Field(
        description="False when the queue did not answer; the scan is recorded and starts later."
    )
    warning: str = Field(description="Why it was not queued; empty when it was.", examples=[""])


class HitDocument(_Document):
    """One rule that matched."""

    rule: str = Field(examples=["form.password_cross_origin"])
    version: int
    group: Group
    weight: float = Field(description="What it adds by itself, as a probability; may be negative.")
    categories: tuple[Category, ...]
    reason: str = Field(description="One sentence.")
    pointer: str = Field(description="JSON pointer (RFC 6901) into `evidence`.")
    excerpt: str = Field(description="The text that matched; hostile text, escape it where shown.")


class ResultDocument(_Document):
    """What a finished scan concluded."""

    attempt: int
    outcome: Outcome
    score: Annotated[int, Field(ge=0, le=100)]
    judgement: Judgement
    categories: tuple[Category, ...]
    summary: str = Field(description="One sentence that says why.")
    hits: tuple[HitDocument, ...] = Field(description="The rules behind the score.")
    ruleset: str = Field(examples=["core-1"])
    final_url: str | None = Field(description="Where the redirects ended.")
    http_status: int | None
    title: str | None = Field(description="The page's title; hostile text, escape it where shown.")
    created_at: datetime


class ArtefactDocument(_Document):
    """A stored blob, named by its SHA-256."""

    kind: str = Field(examples=["body"])
    sha256: str
    size_bytes: int
    media_type: str


class AuditDocument(_Document):
    """One line of the scan's append-only history."""

    id: int
    event: str = Field(examples=["transition"])
    version: int
    attempt: int
    from_state: State | None
    to_state: State | None
    actor: str
    outcome: Outcome | None
    detail: str | None
    at: datetime


class ScanDetail(ScanDocument):
    """A scan with everything known about it."""

    result: ResultDocument | None = Field(description="Null until the scan is final.")
    # `safeurl.model.report.Evidence` defines the fields; new profiles of the fetcher add fields.
    evidence: dict[str, Any] | None = Field(
        description="What the sandbox saw: `hops`, `body`, `page`, `refusals`, `report`; and in "
        "`egress` what the gateway decided about each of its connections."
    )
    artefacts: tuple[ArtefactDocument, ...]
    # The model's own class, so that a new field of it appears here and in the schema.
    attempts: tuple[Attempt, ...] = Field(
        description="The first one first: who claimed the scan and when, how that ended, and what "
        "is known of its sandbox. Times in milliseconds end in `_ms`; null is unknown."
    )
    audit: tuple[AuditDocument, ...] = Field(description="Oldest first.")


class ListedScan(ScanDocument):
    """A scan of a list, with what was concluded of it."""

    verdict: Judgement | None = Field(
        description="Null while the scan is not final, and where it was cancelled before anything "
        "could be concluded."
    )
    score: int | None = Field(description="0 to 100; null where `verdict` is.")


class ScanPage(_Document):
    """A page of scans, newest first."""

    scans: tuple[ListedScan, ...]
    next: str | None = Field(
        description="Where the next page is; null on the last one.",
        examples=[f"/api/scans?limit=50&before={_EXAMPLE_ID}"],
    )


class Fault(_Document):
    """One thing that is wrong with a request."""

    title: str
    status: int


class ErrorDocument(_Document):
    """Why a request was not served."""

    message: str = Field(description="One sentence for a person.")
    code: str = Field(description="A stable word for programs.", examples=["url_refused"])
    status: int = Field(examples=[400])
    reason: str | None = Field(
        default=None, description="With `url_refused`: the rule behind it.", examples=["loopback"]
    )
    errors: tuple[Fault, ...]


class _HealthDocument(_Document):
    """Health is written in camel case, as monitoring tools expect it."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class HealthSummary(_HealthDocument):
    """The state of the whole, and what is wrong."""

    status: Status = Field(
        description=(
            "`healthy`: all is well. `degraded`: scans are taken, but wait, are slow or may fail. "
            "`unhealthy`: scans are not taken, or there are scans and no worker for them."
        )
    )
    issues: tuple[str, ...] = Field(
        description="What is wrong, a sentence each, the most urgent first."
    )


class HealthMetrics(_HealthDocument):
    """How much work there is; null where the database does not answer."""

    active_workers: int | None = Field(description="Workers whose heartbeat is younger than 30 s.")
    total_scans_in_progress: int | None = Field(description="FETCHING or ANALYZING.")
    pending_scans: int | None = Field(description="QUEUED.")
    recently_completed: int | None = Field(description="In the last hour.")
    recently_failed: int | None = Field(
        description="Failed or timed out in the last hour; those that were cancelled do not count."
    )
    recently_cancelled: int | None = Field(description="In the last hour.")
    oldest_pending_scan: datetime | None = Field(description="When it was submitted.")


class PartDocument(_HealthDocument):
    """One part of the system."""

    ok: bool
    detail: str


class PartStatusDocument(_HealthDocument):
    """Whether one part of a worker's host works."""

    ok: bool
    reason: str = Field(description="Why it does not work, in one sentence; empty if it works.")


class WarmPoolDocument(_HealthDocument):
    """The sandboxes that a host has started ahead."""

    size: int = Field(description="Sandboxes that are ready now.")
    target: int = Field(description="How many there should be.")
    hits: int = Field(description="Attempts that got one, since the start of the pool.")
    misses: int = Field(description="Attempts that started one themselves.")
    failed_starts: int = Field(description="Sandboxes that could not be started ahead.")


class WorkerPartsDocument(_HealthDocument):
    """What a worker needs on its host."""

    docker: PartStatusDocument = Field(description="The Docker engine.")
    image: PartStatusDocument = Field(description="The fetcher's image.")
    gateway: PartStatusDocument = Field(description="The egress gateway, if it is used.")
    disk: PartStatusDocument = Field(description="The disk of the state folder.")
    pool: WarmPoolDocument | None = Field(description="The warm pool; null if there is none.")


class WorkerDocument(_HealthDocument):
    """The last heartbeat of a worker."""

    host: str
    pid: int
    concurrency: int
    beat_at: datetime
    disk_free_bytes: int = Field(
        description="On the disk of its state folder; 0 if that is not readable."
    )
    docker: PartDocument
    parts: WorkerPartsDocument


class HealthDocument(_HealthDocument):
    """What works now, and what to do about what does not."""

    timestamp: datetime
    health: HealthSummary
    metrics: HealthMetrics
    recommendations: tuple[str, ...] = Field(description="What to do, a sentence each.")
    database: PartDocument
    queue: PartDocument
    workers: tuple[WorkerDocument, ...]
    failing: tuple[str, ...] = Field(
        description="Processes of this host's system that fail at each start."
    )
