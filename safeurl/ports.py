"""What the core needs of the world, as protocols; the contracts stand here.

Every implementation passes the same suite in `tests/contract`. Adapters raise only the
errors of `safeurl.errors`; a guarded write that lost its race returns None or False.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from safeurl.model.audit import AuditRow, SchemaFault, Seal, Trail
from safeurl.model.report import EgressEvidence, FetchRequest
from safeurl.model.scan import (
    Artefact,
    AuditEntry,
    LeaderTerm,
    Metrics,
    Result,
    Scan,
    VerdictSummary,
    WorkerBeat,
)
from safeurl.state import Outcome, State

Clock = Callable[[], datetime]

#: Is told the ids of scans whose rows cannot be read.
Unreadable = Callable[[str], None]


def ignore(_scan_id: str) -> None:
    """Leave out what cannot be read without a word."""


#: So many unreadable rows hide no scan that stands behind them.
MOST_UNREADABLE = 1000

#: How far the clocks of two hosts may be apart. What lies further ahead than that was written
#: before a clock was set back.
CLOCK_SKEW = timedelta(seconds=5)


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


class ScanStore(Protocol):
    """The database: the only truth about scans.

    Each method is one batch of statements that happens wholly or not at all. Writes on a scan
    are guarded by the `id`, `version` and `state` of the `Scan` handed in: when the row has
    moved on, nothing is written and None (or False) comes back. `actor` names who acts. A write
    that names a `term` is also guarded by that being the newest: a deposed leader writes nothing;
    and by the lease being as handed in: one that was renewed since is not taken away.
    """

    async def add(self, scans: Sequence[Scan]) -> None:
        """Insert new QUEUED scans at version 0; all or none."""

    async def get(self, scan_id: str) -> Scan | None:
        """Return the scan, or None when there is none."""

    async def page(self, *, limit: int, before: str | None = None) -> list[Scan]:
        """Return scans newest first, by id, those older than the id `before`.

        Rows that cannot be read are left out, here and in `workers`.
        """

    async def claim(
        self, scan_id: str, *, owner: str, now: datetime, lease_until: datetime
    ) -> Scan | None:
        """Move QUEUED to FETCHING if it is due; attempt and version grow by one.

        Due is what `run_after` has come for, or comes within `CLOCK_SKEW`: another host's clock
        may have written it, and its wake-up must not be wasted. A row that was written later than
        that tells that the clock was set back: its times mean nothing, and it is due.
        """

    async def renew_lease(self, scan: Scan, *, lease_until: datetime) -> bool:
        """Extend the lease of this owner, attempt and version; False when it is no longer ours."""

    async def begin_analysis(  # noqa: PLR0913 - one keyword per thing that the move stores
        self,
        scan: Scan,
        *,
        outcome: Outcome,
        detail: str | None,
        evidence_json: str,
        artefacts: Sequence[Artefact] = (),
        now: datetime,
        actor: str,
    ) -> Scan | None:
        """Move FETCHING to ANALYZING and store all that this attempt has found."""

    async def finish(
        self, scan: Scan, ending: FinalRecord, *, now: datetime, actor: str, term: int | None = None
    ) -> Scan | None:
        """Move to a final state with its result, artefacts and evidence."""

    async def requeue(  # noqa: PLR0913 - one keyword per column that the move sets
        self,
        scan: Scan,
        *,
        outcome: Outcome,
        detail: str | None,
        run_after: datetime,
        now: datetime,
        actor: str,
        term: int | None = None,
    ) -> Scan | None:
        """Move FETCHING or ANALYZING back to QUEUED for another attempt, the lease given up."""

    async def note(  # noqa: PLR0913 - one keyword per guard and column of the line
        self,
        scan: Scan,
        *,
        event: str,
        detail: str,
        now: datetime,
        actor: str,
        term: int | None = None,
    ) -> None:
        """Append an audit line that is not a transition, such as `sandbox`."""

    async def due(
        self, *, now: datetime, limit: int, on_unreadable: Unreadable = ignore
    ) -> list[Scan]:
        """Return QUEUED scans that are due by this clock, tried ones before others, by age.

        A row that cannot be read is left out and told; up to `MOST_UNREADABLE` are passed over.
        """

    async def leased(
        self, *, limit: int, until: datetime | None = None, on_unreadable: Unreadable = ignore
    ) -> list[Scan]:
        """Return FETCHING and ANALYZING scans whose lease ends by then, the soonest first.

        Of rows that cannot be read, the same holds.
        """

    async def result(self, scan_id: str) -> Result | None:
        """Return the result of a final scan."""

    async def judged(self, scan_ids: Sequence[str]) -> dict[str, VerdictSummary]:
        """Return, by id, what was concluded of those that are final."""

    async def evidence(self, scan_id: str) -> str | None:
        """Return the stored evidence as JSON."""

    async def artefacts(self, scan_id: str) -> list[Artefact]:
        """Return the artefacts of a scan, by kind."""

    async def audit(self, scan_id: str) -> list[AuditEntry]:
        """Return the scan's audit trail, oldest first."""

    async def beat(self, beat: WorkerBeat) -> None:
        """Record a worker's sign of life, over its last one."""

    async def retire(self, worker_id: str) -> None:
        """Forget a worker that ends; nothing happens when it is not known."""

    async def forget_workers(self, *, silent_since: datetime) -> None:
        """Forget the workers that were not heard of since then."""

    async def workers(self, *, since: datetime) -> list[WorkerBeat]:
        """Return the workers heard of since then."""

    async def metrics(self, *, now: datetime) -> Metrics:
        """Tell how many scans wait, are at work, and ended in the last hour, to the minute.

        The cost does not grow with any of them but those at work.
        """

    async def migrate(self) -> list[int]:
        """Bring the schema up to date; return the numbers of the migrations that were applied."""

    async def ping(self) -> None:
        """Return when the database answers and its schema is current, else raise."""

    async def require_schema(self) -> None:
        """Do as `ping` does, with the patience of all other calls; nothing is made."""

    async def close(self) -> None:
        """Release connections and threads; the store is not used again."""


class Leadership(Protocol):
    """One leader at a time, by a lease with a number that fences its writes."""

    async def lead(self, holder: str, *, now: datetime, until: datetime) -> LeaderTerm:
        """Renew the holder's own term, or begin a new one where none holds; return the newest.

        Who is not its holder does not lead. A term that ends later than `until` by more than
        `CLOCK_SKEW` was made before the clock was set back, and holds no longer.
        """

    async def resign(self, holder: str, *, now: datetime) -> None:
        """End the newest term now if it is this holder's, so that the next may begin at once."""


class AuditLedger(Protocol):
    """The audit trail as a whole, by row id, and the seals over it."""

    async def rows(self, *, after: int, limit: int) -> list[AuditRow]:
        """Return audit rows by id, those after the id `after`, whatever they hold."""

    async def trails(self, *, after: str, limit: int) -> list[Trail]:
        """Return the trails of scans by id, those after the id `after`, each of one moment."""

    async def seals(self, *, after: int, limit: int) -> list[Seal]:
        """Return seals by number, those after the number `after`."""

    async def last_seal(self) -> Seal | None:
        """Return the newest seal."""

    async def seal(self, seal: Seal) -> bool:
        """Append a seal; False when its term is not the newest or it does not follow the last."""

    async def last_numbers(self) -> tuple[int, int]:
        """Return the highest row id and the highest seal number that were ever given.

        Kept by the database apart from the rows, so that a tail that was cut off is missed.
        """

    async def schema_faults(self) -> list[SchemaFault]:
        """Compare the schema as it stands with `schema.sql`, without reading any table of it.

        A schema that is older or newer, or none at all, raises StoreUnavailableError instead.
        """

    async def content_faults(self) -> list[str]:
        """Name the rules of the tables that rows break, and what is damaged in the database.

        Ask only where the schema bears no risk for that.
        """


class Store(ScanStore, Leadership, AuditLedger, Protocol):
    """All that a database adapter offers."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What stands at the front of the queue."""

    #: Of the scans that have a wake-up there.
    scan_ids: frozenset[str] = frozenset()
    #: Whether no more than that is on the queue.
    is_all: bool = True


class WakeQueue(Protocol):
    """The message queue: wakes workers, may be flushed at any time without losing a scan."""

    async def push(self, scan_ids: Sequence[str], *, first: bool = False) -> None:
        """Put one wake-up per scan on the queue: at its end, or in this order before all others."""

    async def waiting(self, *, limit: int) -> Waiting:
        """Return which scans the next `limit` wake-ups are for."""

    async def ping(self) -> int:
        """Return how many wake-ups wait, else raise."""

    async def refused(self) -> int:
        """Return how many messages of the last hour were none of ours, and were refused."""

    async def close(self) -> None:
        """Release connections."""


class ArtefactStore(Protocol):
    """Blobs by their SHA-256; storing the same bytes twice stores them once."""

    async def put(self, data: bytes) -> str:
        """Store the bytes durably and return their SHA-256 as lower-case hex."""

    async def get(self, sha256: str) -> bytes | None:
        """Return the bytes, or None when there are none of that name."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressEndpoint:
    """A sandbox's own door to the gateway."""

    id: str
    #: Folder that holds the socket; the sandbox gets it mounted.
    directory: str


class Egress(Protocol):
    """The gateway that makes a sandbox's connections."""

    async def open(self, request: FetchRequest, *, deadline_s: float) -> EgressEndpoint:
        """Make a socket and bind it to the attempt; raise EgressUnavailableError."""

    async def close(self, room: EgressEndpoint) -> EgressEvidence:
        """Remove the socket and return what went through it.

        Raises EgressLostError when the gateway was started anew meanwhile.
        """


#: Takes stdout as it comes; returning False ends the sandbox at once.
Sink = Callable[[bytes], bool]


class Sandbox(Protocol):
    """Runs one fetcher in a disposable container."""

    async def run(self, order: SandboxOrder, sink: Sink) -> SandboxExit:
        """Run to the end and remove the container; `sink` is called from another thread.

        Docker's failures come back in `SandboxExit.error`. When the call is cancelled the
        container is killed and removed before it returns.
        """

    def hear(self, *, failed: bool) -> None:
        """Learn what a run says of the engine: that it failed, or that it works."""

    async def ping(self) -> str:
        """Return the engine's version, else raise `SandboxUnavailableError`."""

    async def close(self) -> None:
        """Release connections; running containers stay the reaper's."""
