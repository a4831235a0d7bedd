"""The store of attempts, with all moves of a scan from one state to another."""

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
        """Return the scan's attempts, oldest first.

        The attempts of an older version, which had no rows for them, are read from the audit
        trail. Attempts that the trail does not contain are missing.
        """


class AttemptEnds(Protocol):
    """Ends attempts, for workers, for the rescuer, and for a person who cancels.

    Each write is guarded by the `id`, `version` and `state` of the given `Scan`. If the row has
    changed since, nothing is written and None is returned. `actor` is the name of the writer. A
    write with a `term` has two more guards. The term must be the newest, so that a former leader
    writes nothing. The lease must be unchanged, so that a renewed lease is kept.
    """

    async def finish(
        self, scan: Scan, ending: FinalRecord, *, now: datetime, actor: str, term: int | None = None
    ) -> Scan | None:
        """Move to a final state and store the result, artefacts and evidence.

        If an attempt runs, it ends too. It counts as a failure if the outcome is `lease_lost` or
        `sandbox_unavailable`.
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
        """Move FETCHING or ANALYZING back to QUEUED for another attempt; end lease and attempt.

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
        """Extend the lease of this owner, attempt and version; return False if it was lost."""


class AttemptStore(AttemptEnds, LeaseStore, Protocol):
    """All moves of a scan; the guards are those of `AttemptEnds`."""

    async def claim(
        self, scan_id: str, *, owner: str, now: datetime, lease_until: datetime
    ) -> Scan | None:
        """Move QUEUED to FETCHING if the scan is due, and increase attempt and version by one.

        The same batch records the attempt.

        A scan is due if `run_after` is in the past or less than `CLOCK_SKEW` in the future, because
        the clock of another host may have written it, and a claim that came too early would lose
        the wake-up. If the last write of the row is further in the future, the clock was set back.
        The row's times are then not valid, and the scan is due.
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
        """Move FETCHING to ANALYZING and store the evidence of this attempt."""
