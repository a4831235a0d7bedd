"""The order for a sandbox, and the way it ended: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from safeurl.model.report import FetchRequest


class Stop(StrEnum):
    """The reason why the worker itself ended a sandbox."""

    DEADLINE = "deadline"
    #: The reader of the report stopped, because the report broke a rule.
    SINK = "sink"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOrder:
    """The container to run for one attempt."""

    request: FetchRequest
    #: The seconds from the start until the worker kills the container.
    deadline_s: float
    #: The folder of the sandbox's own gateway socket; None if it has a network instead.
    egress_dir: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxExit:
    """The end of a sandbox as the worker saw it: only facts, without a classification."""

    container_id: str | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    #: Another program started the container again; the second run got no request.
    restarted: bool = False
    #: Another program had paused the container when its time was over.
    paused: bool = False
    #: The reason if the worker ended it.
    stopped: Stop | None = None
    #: The failure of Docker itself in one sentence; None if the container ran.
    error: str | None = None
    #: The last 4 KiB of stderr, undecodable bytes replaced.
    stderr_tail: str = ""
    #: `cold` or `warm`.
    start_kind: str = "cold"
    #: Milliseconds per phase: `create`, `start`, `run`, `remove`.
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    #: The peak memory and the CPU time of the sandbox; None if not known.
    peak_memory_bytes: int | None = None
    cpu_ms: float | None = None
