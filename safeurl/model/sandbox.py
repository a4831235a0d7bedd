"""Which sandbox to start, what was seen of it, and what its reader wants: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class SinkResult(StrEnum):
    """What the receiver of a sandbox's stdout wants next."""

    MORE = "more"
    #: It has the whole report; nothing that follows changes it.
    ENOUGH = "enough"
    #: The output broke a rule: the sandbox is to be ended.
    REFUSED = "refused"


class StartKind(StrEnum):
    """When a sandbox was started."""

    #: For its attempt.
    COLD = "cold"
    #: Ahead of any attempt.
    WARM = "warm"


class Stop(StrEnum):
    """The reason why the worker itself ended a sandbox."""

    DEADLINE = "deadline"
    #: The reader of the report stopped, because the report broke a rule.
    SINK = "sink"


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOrder:
    """Which container to start for one attempt."""

    scan: str
    attempt: int
    #: Seconds from the start within which the container is needed.
    deadline_s: float
    #: The folder of the sandbox's own gateway socket; None if it has a network instead.
    egress_dir: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxExit:
    """What was seen of a sandbox when its output was read; pure facts, no judgement."""

    container_id: str | None = None
    #: None where it was not waited for, because the report was complete before, or not known.
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
    start_kind: StartKind = StartKind.COLD
    #: Milliseconds per phase: `create`, `start`, and `fetch`: from the first byte of the request to
    #: the complete report, or to the end of a container without one.
    timings_ms: Mapping[str, float] = field(default_factory=dict)
    #: The most memory that the sandbox had at one time, and its CPU time from its start on; None
    #: where not known.
    peak_memory_bytes: int | None = None
    cpu_ms: float | None = None
