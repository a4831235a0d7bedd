"""The tables as SQLModel models, which validate and convert every row that is read.

`schema.sql` is authoritative. A test compares its columns, types, nullability and keys with the
models.
"""

from datetime import UTC, datetime
from typing import Annotated, ClassVar

from pydantic import AfterValidator, AwareDatetime, Json
from sqlalchemy import REAL, Integer, Text
from sqlalchemy.orm import configure_mappers
from sqlmodel import Field, SQLModel

from safeurl.model.report import Profile
from safeurl.model.worker import WorkerParts
from safeurl.state import Outcome, State


def preload() -> None:
    """Configure the models, which SQLAlchemy else does for the first row that a process reads."""
    configure_mappers()


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)


At = Annotated[AwareDatetime, AfterValidator(_utc)]


class ScanJob(SQLModel, table=True):
    """A scan, with the columns about its last change that only the database uses."""

    __tablename__: ClassVar[str] = "scan_jobs"
    id: str = Field(primary_key=True, sa_type=Text)
    url: str = Field(sa_type=Text)
    submitted_url: str = Field(sa_type=Text)
    profile: Profile = Field(sa_type=Text)
    state: State = Field(sa_type=Text)
    version: int
    attempt: int
    source: str = Field(sa_type=Text)
    created_at: At = Field(sa_type=Text)
    updated_at: At = Field(sa_type=Text)
    run_after: At = Field(sa_type=Text)
    lease_owner: str | None = Field(sa_type=Text)
    lease_until: At | None = Field(sa_type=Text)
    outcome: Outcome | None = Field(sa_type=Text)
    detail: str | None = Field(sa_type=Text)
    finished_at: At | None = Field(sa_type=Text)
    actor: str = Field(sa_type=Text)
    change_id: str = Field(sa_type=Text)


class ScanCount(SQLModel, table=True):
    """The number of scans in a state."""

    __tablename__: ClassVar[str] = "scan_counts"
    state: State = Field(primary_key=True, sa_type=Text)
    scans: int


class ScanEndings(SQLModel, table=True):
    """The number of scans that ended in one minute with one state and outcome."""

    __tablename__: ClassVar[str] = "scan_endings"
    minute: str = Field(primary_key=True, sa_type=Text)
    state: State = Field(primary_key=True, sa_type=Text)
    outcome: Outcome = Field(primary_key=True, sa_type=Text)
    scans: int


class ScanResult(SQLModel, table=True):
    """The result of a final scan."""

    __tablename__: ClassVar[str] = "scan_results"
    scan_id: str = Field(primary_key=True, foreign_key="scan_jobs.id", sa_type=Text)
    attempt: int
    outcome: Outcome = Field(sa_type=Text)
    score: int
    verdict: str = Field(sa_type=Text)
    categories: Json[tuple[str, ...]] = Field(sa_type=Text)
    verdict_json: str = Field(sa_type=Text)
    ruleset: str = Field(sa_type=Text)
    final_url: str | None = Field(sa_type=Text)
    http_status: int | None
    title: str | None = Field(sa_type=Text)
    created_at: At = Field(sa_type=Text)


class ScanEvidence(SQLModel, table=True):
    """The evidence of the last attempt with evidence, as JSON text."""

    __tablename__: ClassVar[str] = "scan_evidence"
    scan_id: str = Field(primary_key=True, foreign_key="scan_jobs.id", sa_type=Text)
    attempt: int
    document: str = Field(sa_type=Text)


class ScanArtefact(SQLModel, table=True):
    """A blob of a scan."""

    __tablename__: ClassVar[str] = "artefacts"
    scan_id: str = Field(primary_key=True, foreign_key="scan_jobs.id", sa_type=Text)
    kind: str = Field(primary_key=True, sa_type=Text)
    sha256: str = Field(primary_key=True, sa_type=Text)
    size_bytes: int
    media_type: str = Field(sa_type=Text)


class ScanAttempt(SQLModel, table=True):
    """One attempt of a scan."""

    __tablename__: ClassVar[str] = "attempts"
    scan_id: str = Field(primary_key=True, foreign_key="scan_jobs.id", sa_type=Text)
    attempt: int = Field(primary_key=True)
    owner: str = Field(sa_type=Text)
    started_at: At = Field(sa_type=Text)
    ended_at: At | None = Field(sa_type=Text)
    outcome: Outcome | None = Field(sa_type=Text)
    counts_as_failure: bool | None = Field(sa_type=Integer)
    term: int | None
    container_id: str | None = Field(sa_type=Text)
    start_kind: str | None = Field(sa_type=Text)
    create_ms: float | None = Field(sa_type=REAL)
    start_ms: float | None = Field(sa_type=REAL)
    run_ms: float | None = Field(sa_type=REAL)
    remove_ms: float | None = Field(sa_type=REAL)
    bytes_in: int | None
    bytes_out: int | None
    peak_memory_bytes: int | None
    cpu_ms: float | None = Field(sa_type=REAL)
    exit_code: int | None
    oom_killed: bool | None = Field(sa_type=Integer)
    stopped: str | None = Field(sa_type=Text)
    push_ms: float | None = Field(sa_type=REAL)
    wake_ms: float | None = Field(sa_type=REAL)
    dispatch_ms: float | None = Field(sa_type=REAL)
    claim_ms: float | None = Field(sa_type=REAL)
    prepare_ms: float | None = Field(sa_type=REAL)
    bind_ms: float | None = Field(sa_type=REAL)
    fetch_ms: float | None = Field(sa_type=REAL)
    close_ms: float | None = Field(sa_type=REAL)
    store_ms: float | None = Field(sa_type=REAL)
    analyse_ms: float | None = Field(sa_type=REAL)


class AuditLog(SQLModel, table=True):
    """One append-only line of a scan's history."""

    __tablename__: ClassVar[str] = "audit_logs"
    id: int = Field(primary_key=True)
    scan_id: str = Field(sa_type=Text)
    event: str = Field(sa_type=Text)
    version: int
    attempt: int
    from_state: State | None = Field(sa_type=Text)
    to_state: State | None = Field(sa_type=Text)
    actor: str = Field(sa_type=Text)
    outcome: Outcome | None = Field(sa_type=Text)
    detail: str | None = Field(sa_type=Text)
    at: At = Field(sa_type=Text)


class Worker(SQLModel, table=True):
    """The last heartbeat of a worker."""

    __tablename__: ClassVar[str] = "workers"
    id: str = Field(primary_key=True, sa_type=Text)
    host: str = Field(sa_type=Text)
    pid: int
    concurrency: int
    started_at: At = Field(sa_type=Text)
    beat_at: At = Field(sa_type=Text)
    docker_version: str = Field(sa_type=Text)
    parts: Json[WorkerParts] = Field(sa_type=Text)
    disk_free_bytes: int


class LeaderTerm(SQLModel, table=True):
    """A term of a leader."""

    __tablename__: ClassVar[str] = "leader_terms"
    term: int = Field(primary_key=True)
    holder: str = Field(sa_type=Text)
    elected_at: At = Field(sa_type=Text)
    until: At = Field(sa_type=Text)


class AuditSeal(SQLModel, table=True):
    """A seal over a range of the audit trail."""

    __tablename__: ClassVar[str] = "audit_seals"
    number: int = Field(primary_key=True)
    first_id: int
    last_id: int
    digests: str = Field(sa_type=Text)
    sha256: str = Field(sa_type=Text)
    previous_sha256: str = Field(sa_type=Text)
    sealed_at: At = Field(sa_type=Text)
    term: int


class VerdictSummaryRow(SQLModel):
    """The part of a result that a list shows; not a table."""

    scan_id: str
    score: int
    verdict: str


class MetricsRow(SQLModel):
    """The only row of the query that counts scans; not a table."""

    pending: int
    in_progress: int
    recently_completed: int
    recently_failed: int
    recently_cancelled: int
    recently_broken: int
    oldest_pending_at: At | None


class SchemaMigration(SQLModel, table=True):
    """A migration that was applied to this database."""

    __tablename__: ClassVar[str] = "schema_migrations"
    number: int = Field(primary_key=True)
    name: str = Field(sa_type=Text)
    applied_at: At = Field(sa_type=Text)
