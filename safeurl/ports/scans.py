"""The store of scans."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from safeurl.model.scan import (
    Artefact,
    AuditEntry,
    Metrics,
    Result,
    Scan,
    VerdictSummary,
    WorkerBeat,
)
from safeurl.state import Outcome, State

#: Is told the ids of scans whose rows cannot be read.
Unreadable = Callable[[str], None]


def ignore(_scan_id: str) -> None:
    """Leave out what cannot be read without a word."""


#: So many unreadable rows hide no scan that stands behind them.
MOST_UNREADABLE = 1000


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
