"""A scan and what an attempt leaves behind, as plain values."""

import re
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime

from safeurl.model.report import Profile
from safeurl.state import Outcome, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One submitted URL and where it stands (a `scan_jobs` row). All times are aware UTC."""

    id: str
    #: Normalised by `safeurl.url.parse`; this is what is fetched.
    url: str
    #: As the user typed it, defanged or not.
    submitted_url: str
    profile: Profile
    state: State
    #: Grows by one with each transition; every write is guarded by it.
    version: int
    #: Grows by one with each claim; 0 before the first.
    attempt: int
    #: Who handed the scan in: `cli`, `api` or a name the caller gives.
    source: str
    created_at: datetime
    updated_at: datetime
    #: Not to be claimed before this time.
    run_after: datetime
    lease_owner: str | None = None
    lease_until: datetime | None = None
    outcome: Outcome | None = None
    #: One sentence of what went wrong, safe to show after escaping.
    detail: str | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Artefact:
    """A stored blob of an attempt, named by its SHA-256 (lower-case hex)."""

    kind: str
    sha256: str
    size_bytes: int
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a finished scan concluded (a `scan_results` row); every final scan has exactly one."""

    scan_id: str
    attempt: int
    outcome: Outcome
    #: 0–100.
    score: int
    #: `malicious`, `suspicious`, `benign` or `inconclusive`.
    verdict: str
    categories: tuple[str, ...]
    #: The `Verdict` of `safeurl.model.verdict` as JSON, hits included.
    verdict_json: str
    #: Which rules judged, for example `core-1`.
    ruleset: str
    final_url: str | None
    http_status: int | None
    title: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictSummary:
    """Of a result, what a list shows."""

    scan_id: str
    #: 0–100.
    score: int
    #: `malicious`, `suspicious`, `benign` or `inconclusive`.
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One append-only line of a scan's history (an `audit_logs` row)."""

    id: int
    scan_id: str
    #: `submitted`, `transition`, or a note such as `sandbox`.
    event: str
    version: int
    attempt: int
    from_state: State | None
    to_state: State | None
    actor: str
    outcome: Outcome | None
    detail: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderTerm:
    """A time of leadership (a `leader_terms` row); the newest one fences all that came before."""

    #: Grows by one with each change of leader.
    term: int
    holder: str
    elected_at: datetime
    #: When nobody has renewed it by then, others may stand.
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """How much work there is."""

    pending: int
    in_progress: int
    #: Reached COMPLETED in the last hour.
    recently_completed: int
    #: Reached FAILED or TIMED_OUT in the last hour, but were not cancelled.
    recently_failed: int
    #: Were cancelled in the last hour.
    recently_cancelled: int
    #: Those that failed and say nothing about the page: no sandbox, a crashed one, a lost worker.
    recently_broken: int
    oldest_pending_at: datetime | None


def is_scan_id(text: str) -> bool:
    """Tell whether an id of ours could read like this."""
    return re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) is not None


def new_scan_id(now: datetime) -> str:
    """Return a UUIDv7 (RFC 9562): ids sort by the time they were made, to the millisecond."""
    stamp = int(now.timestamp() * 1000) & 0xFFFF_FFFF_FFFF
    value = stamp << 80 | 0x7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=value))
