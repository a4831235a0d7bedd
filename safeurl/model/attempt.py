"""One attempt of a scan, what is known of its sandbox, and what it leaves when it ends a scan."""

from dataclasses import dataclass
from datetime import datetime

from safeurl.model.scan import Artefact, Result
from safeurl.state import Outcome, State


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxFacts:
    """What is known of an attempt's sandbox; None where there was none or it is not known."""

    container_id: str | None = None
    #: `cold` or `warm`.
    start_kind: str | None = None
    #: Milliseconds per phase.
    create_ms: float | None = None
    start_ms: float | None = None
    run_ms: float | None = None
    remove_ms: float | None = None
    #: What went through the gateway: from the page, and to it.
    bytes_in: int | None = None
    bytes_out: int | None = None
    peak_memory_bytes: int | None = None
    cpu_ms: float | None = None
    exit_code: int | None = None
    oom_killed: bool | None = None
    #: Why the worker itself ended the sandbox: `deadline` or `sink`.
    stopped: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt(SandboxFacts):
    """One attempt of a scan, from its claim to its end (an `attempts` row)."""

    scan_id: str
    #: Counts from 1.
    attempt: int
    #: Which worker claimed the scan.
    owner: str
    started_at: datetime
    #: None while the attempt runs.
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    #: Whether it uses up one of the scan's retries; None until it ends.
    counts_as_failure: bool | None = None
    #: The term of the leader that ended it; None where nobody acted as the leader.
    term: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalRecord:
    """All that is written when a scan reaches a final state, in one batch."""

    state: State
    outcome: Outcome
    detail: str | None
    result: Result
    artefacts: tuple[Artefact, ...] = ()
    #: The `Evidence` as JSON where it was not stored before (a scan that never was analysed).
    evidence_json: str | None = None
    #: What is known of the sandbox where it was not stored before.
    sandbox: SandboxFacts | None = None
