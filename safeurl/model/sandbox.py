"""What a sandbox is to run, and how it ended: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from safeurl.model.report import FetchRequest


class Stop(StrEnum):
    """Why the worker itself ended a sandbox."""

    DEADLINE = "deadline"
    #: The sink wanted no more, because the report broke a rule.
    SINK = "sink"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOrder:
    """What to run: one container for one attempt."""

    request: FetchRequest
    #: Seconds from the start until the container is killed from outside.
    deadline_s: float
    #: Folder with the sandbox's own gateway socket; None where it has a network instead.
    egress_dir: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxExit:
    """How a sandbox ended, as seen from outside; pure facts, no judgement."""

    container_id: str | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    #: Somebody outside has started it once more; that run never got a request.
    restarted: bool = False
    #: Somebody outside had stopped its clock when its time was over.
    paused: bool = False
    #: Set when the worker ended it.
    stopped: Stop | None = None
    #: Docker's own failure in one sentence; None when the container ran.
    error: str | None = None
    #: The last 4 KiB of stderr, undecodable bytes replaced.
    stderr_tail: str = ""
    #: `cold` or `warm`.
    start_kind: str = "cold"
    #: Milliseconds per phase: `create`, `start`, `run`, `remove`.
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    #: The most memory that the sandbox had at one time, and its CPU time; None where not known.
    peak_memory_bytes: int | None = None
    cpu_ms: float | None = None
