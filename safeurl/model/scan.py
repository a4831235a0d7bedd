"""A scan and the records of its attempts, as plain values."""

import re
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from safeurl.model.report import Profile
from safeurl.state import Outcome, State

#: The time from which the ids of scans count.
_FIRST_TIME = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One submitted URL and its state (a `scan_jobs` row). All times are aware UTC."""

    id: str
    #: The URL that is fetched, normalised by `safeurl.url.parse`.
    url: str
    #: The URL as the user wrote it, defanged or not.
    submitted_url: str
    profile: Profile
    state: State
    #: Increases by one with each transition; every write is guarded by it.
    version: int
    #: Increases by one with each claim; 0 before the first.
    attempt: int
    #: The submitter: `cli`, `api` or a name that the caller gives.
    source: str
    created_at: datetime
    updated_at: datetime
    #: The scan must not be claimed before this time.
    run_after: datetime
    lease_owner: str | None = None
    lease_until: datetime | None = None
    outcome: Outcome | None = None
    #: One sentence about the failure; it must be escaped before it is shown.
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
    """The result of a scan (a `scan_results` row). Every final scan has exactly one."""

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
    #: The name of the rule set, for example `core-1`.
    ruleset: str
    final_url: str | None
    http_status: int | None
    title: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictSummary:
    """The part of a result that a list shows."""

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
    """A term of a leader (a `leader_terms` row). The newest term makes all earlier ones invalid."""

    #: Increases by one with each change of leader.
    term: int
    holder: str
    elected_at: datetime
    #: The time after which another worker may become leader, unless the term is renewed.
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Counts of the scans."""

    pending: int
    in_progress: int
    #: The scans that reached COMPLETED in the last hour.
    recently_completed: int
    #: The scans that reached FAILED or TIMED_OUT in the last hour and were not cancelled.
    recently_failed: int
    #: The scans that were cancelled in the last hour.
    recently_cancelled: int
    #: The failed scans with an infrastructure outcome: no sandbox, a crashed one, a lost worker.
    recently_broken: int
    oldest_pending_at: datetime | None


def is_scan_id(text: str) -> bool:
    """Return whether the text has the form of a scan's id."""
    return re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) is not None


def new_scan_id(now: datetime) -> str:
    """Return a UUIDv7 (RFC 9562): ids sort by the time they were made, to the millisecond."""
    return _uuid7(now, secrets.randbits(12), secrets.randbits(62))


def first_scan_id(at: datetime) -> str:
    """Return the lowest id that `new_scan_id` can give at this time.

    Ids count from 1970, so the lowest one also stands for earlier times.
    """
    return _uuid7(max(at, _FIRST_TIME), 0, 0)


def _uuid7(at: datetime, high: int, low: int) -> str:
    stamp = int(at.timestamp() * 1000) & 0xFFFF_FFFF_FFFF
    return str(uuid.UUID(int=stamp << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low))
