"""An attempt of a scan, its phases and its sandbox, and the final record of a scan."""

from dataclasses import dataclass, fields
from datetime import datetime

from safeurl.model.scan import Artefact, Result
from safeurl.state import Outcome, State


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseTimes:
    """The duration of each phase of an attempt in milliseconds, in the order of the phases.

    A value is None if there was no such phase, or if its duration is not known. Each phase begins
    at the end of the previous one. The last write, which makes the scan final, has no field,
    because it would have to contain its own duration.
    """

    #: From the submission, or from the end of the pause before a retry, until the wake-up is sent
    #: to the queue: the scan is recorded.
    push_ms: float | None = None
    #: Until a worker takes the wake-up off the queue.
    wake_ms: float | None = None
    #: Until the claim begins: the wake-up is checked, the attempt's process is started.
    dispatch_ms: float | None = None
    #: Until the database has recorded the claim.
    claim_ms: float | None = None
    #: Until a sandbox is ready: taken from the pool, or created and started.
    prepare_ms: float | None = None
    #: Until the egress gateway has bound the sandbox's socket to this attempt.
    bind_ms: float | None = None
    #: From the first byte of the request until the report is complete or the sandbox has ended.
    fetch_ms: float | None = None
    #: Until the gateway has closed the socket and given its record.
    close_ms: float | None = None
    #: Until artefacts and evidence are stored, with the move to ANALYZING.
    store_ms: float | None = None
    #: Until the rules have judged the evidence.
    analyse_ms: float | None = None


#: The names of the phases, in their order.
PHASES = tuple(field.name.removesuffix("_ms") for field in fields(PhaseTimes))


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxFacts(PhaseTimes):
    """The known facts about an attempt's phases and sandbox; None for an unknown one."""

    container_id: str | None = None
    #: `cold` or `warm`.
    start_kind: str | None = None
    #: Milliseconds of the engine's work: to create and to start the container, both during the
    #: phase `prepare` of a cold start; the container's run; its removal, which is not known if it
    #: came after the end of the attempt.
    create_ms: float | None = None
    start_ms: float | None = None
    run_ms: float | None = None
    remove_ms: float | None = None
    #: The bytes through the gateway: from the page, and to it.
    bytes_in: int | None = None
    bytes_out: int | None = None
    peak_memory_bytes: int | None = None
    cpu_ms: float | None = None
    exit_code: int | None = None
    oom_killed: bool | None = None
    #: The reason why the worker itself ended the sandbox: `deadline` or `sink`.
    stopped: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt(SandboxFacts):
    """One attempt of a scan, from its claim to its end (an `attempts` row)."""

    scan_id: str
    #: Counts from 1.
    attempt: int
    #: The worker that claimed the scan.
    owner: str
    started_at: datetime
    #: None while the attempt runs.
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    #: True if it uses up one of the scan's retries; None until it ends.
    counts_as_failure: bool | None = None
    #: The term of the leader that ended it; None if no leader did.
    term: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalRecord:
    """The data that one batch writes when a scan reaches a final state."""

    state: State
    outcome: Outcome
    detail: str | None
    result: Result
    artefacts: tuple[Artefact, ...] = ()
    #: The `Evidence` as JSON if it was not stored before (a scan that was never analysed).
    evidence_json: str | None = None
    #: The known facts about phases and sandbox; they replace the stored ones.
    sandbox: SandboxFacts | None = None
