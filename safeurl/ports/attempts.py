"""The store of attempts: how a scan moves from one state to the next."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from safeurl.model.attempt import Attempt, FinalRecord, SandboxFacts
from safeurl.model.scan import Artefact, Scan
from safeurl.ports.scans import ScanLookup
from safeurl.state import Outcome


class AttemptReader(Protocol):
    """Reads the attempts of a scan."""

    async def attempts(self, scan_id: str) -> list[Attempt]:
        """Return the scan's attempts, the first one first.

        Those of a scan that an older version worked on come from its audit trail; where that is
        incomplete, they are missing.
        """


class AttemptEnds(Protocol):
    """Ends attempts: for workers, for the rescuer, and for a person who cancels.

    Writes on a scan are guarded by the `id`, `version` and `state` of the `Scan` handed in: when
    the row has moved on, nothing is written and None comes back. `actor` names who acts. A write
    that names a `term` is also guarded by that being the newest, so that a deposed leader writes
    nothing; and by the lease being as handed in, so that a lease that was renewed since is kept.
    """

    async def finish(
        self, scan: Scan, ending: FinalRecord, *, now: datetime, actor: str, term: int | None = None
    ) -> Scan | None:
        """Move to a final state with its result, artefacts and evidence.

        The attempt ends where one runs; `lease_lost` and `sandbox_unavailable` are its failure.
        """

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
        counts_as_failure: bool = True,
        sandbox: SandboxFacts | None = None,
    ) -> Scan | None:
        """Move FETCHING or ANALYZING back to QUEUED for another attempt; lease and attempt end.

        An attempt that `counts_as_failure` uses up one of the scan's retries.
        """

    async def append_audit(  # noqa: PLR0913 - one keyword per guard and column of the line
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


class LeaseStore(ScanLookup, Protocol):
    """Keeps a worker's lease on a scan."""

    async def renew_lease(self, scan: Scan, *, lease_until: datetime) -> bool:
        """Extend the lease of this owner, attempt and version; False when it is no longer ours."""


class AttemptStore(AttemptEnds, LeaseStore, Protocol):
    """All moves of a scan; the guards are those of `AttemptEnds`."""

    async def claim(
        self, scan_id: str, *, owner: str, now: datetime, lease_until: datetime
    ) -> Scan | None:
        """Move QUEUED to FETCHING if the scan is due; attempt and version grow by one.

        The attempt is recorded with it.

        A scan is due when `run_after` has come, or comes within `CLOCK_SKEW`: another host's clock
        may have written it, and its wake-up must not be wasted. A row whose last write lies further
        in the future shows that the clock was set back. Its times are not valid, and it is due.
        """

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
        sandbox: SandboxFacts | None = None,
    ) -> Scan | None:
        """Move FETCHING to ANALYZING and store all that this attempt has found."""
