"""The audit trail as it is stored, and the check that a scan's moves are legal and complete."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from itertools import pairwise

from safeurl.model.scan import AuditEntry
from safeurl.state import Outcome, State, is_legal

#: The hash in front of the first seal.
NO_SEAL = "0" * 64

#: Notes on attempts, which triggers and migrations write. An attempt was given back and uses up no
#: retry; a row that was not SafeURL's stood in its place when it was claimed; an older version,
#: which kept no rows of attempts, has left none.
NOT_COUNTED = "attempt_not_counted"
REPLACED = "attempt_replaced"
UNRECORDED = "attempt_unrecorded"
#: The actor of the notes that a migration writes.
MIGRATION = "migration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """A sealed range of audit rows (an `audit_seals` row). There is no gap between the ranges."""

    number: int
    first_id: int
    last_id: int
    #: Sixteen hex digits for each id from first to last, or sixteen dashes for an id without a row.
    digests: str
    #: The hash over the previous seal and every byte of the rows, in lower-case hex.
    sha256: str
    previous_sha256: str
    #: The time as text, because the hash covers these bytes.
    sealed_at: str
    #: The term of the leader that sealed.
    term: int


class Risk(IntEnum):
    """The statements that run an object of a foreign schema, and so limit what may be read."""

    #: It runs only on a write, or on a read of its own name: a trigger, a view.
    NONE = 0
    #: It may run when all rows are checked: an index, or another table.
    CHECKING = 1
    #: It may run when our tables are read.
    READING = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaFault:
    """One difference between the schema of a database and the schema that SafeURL creates."""

    #: `table`, `index`, `trigger`, `view`, or another kind that the database names.
    kind: str
    name: str
    #: One sentence that names both, for people.
    text: str
    risk: Risk


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """An `audit_logs` row exactly as it is stored, even if SafeURL cannot have written it."""

    id: int
    scan_id: str
    event: str
    version: int
    attempt: int
    from_state: str | None
    to_state: str | None
    actor: str
    outcome: str | None
    detail: str | None
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """What the trail can show of an `attempts` row, just as it is kept."""

    scan_id: str
    attempt: int
    owner: str
    started_at: str
    ended_at: str | None
    outcome: str | None
    counts_as_failure: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """The state of a scan, its audit rows and its attempts at the same moment, oldest first."""

    scan_id: str
    state: str
    version: int
    rows: tuple[AuditRow, ...]
    attempts: tuple[AttemptRow, ...] = ()


def entry_of(row: AuditRow) -> AuditEntry:
    """Return the entry of a row; raise ValueError for an invalid state, outcome or time."""
    return AuditEntry(
        id=row.id,
        scan_id=row.scan_id,
        event=row.event,
        version=row.version,
        attempt=row.attempt,
        from_state=None if row.from_state is None else State(row.from_state),
        to_state=None if row.to_state is None else State(row.to_state),
        actor=row.actor,
        outcome=None if row.outcome is None else Outcome(row.outcome),
        detail=row.detail,
        at=datetime.fromisoformat(row.at),
    )


def trail_faults(trail: Trail) -> list[str]:
    """Return the faults of a scan's trail, and the difference between its end and the scan."""
    faults, entries = [], []
    for row in trail.rows:
        try:
            entries.append(entry_of(row))
        except ValueError as error:
            faults.append(f"Entry {row.id} is none that SafeURL writes: {error}.")
    faults += path_faults(entries)
    steps = [entry for entry in entries if entry.to_state is not None]
    if steps and (steps[-1].to_state, steps[-1].version) != (trail.state, trail.version):
        last = steps[-1]
        faults.append(
            f"It is {trail.state} at version {trail.version}, but its trail ends with entry "
            f"{last.id}: {last.to_state} at version {last.version}."
        )
    return faults


def path_faults(entries: Sequence[AuditEntry]) -> list[str]:
    """Return the faults of a scan's trail, one sentence each; an empty list if there are none.

    `entries` is the complete trail of one scan, oldest first. Entries that are not moves are
    ignored.
    """
    steps = [entry for entry in entries if entry.to_state is not None]
    if not steps:
        return ["The trail has no entries."]
    return [*_start_faults(steps[0]), *_step_faults(steps)]


def _start_faults(first: AuditEntry) -> Iterator[str]:
    if (first.event, first.to_state, first.version) != ("submitted", State.QUEUED, 0):
        yield f"Entry {first.id} is not a submission at version 0."


def _step_faults(steps: Sequence[AuditEntry]) -> Iterator[str]:
    for before, after in pairwise(steps):
        if after.from_state != before.to_state:
            yield f"Entry {after.id} starts from {after.from_state}, not {before.to_state}."
        elif before.to_state and after.to_state and not is_legal(before.to_state, after.to_state):
            yield f"Entry {after.id} moves {before.to_state} to {after.to_state}."
        if after.version != before.version + 1:
            yield f"Entry {after.id} has version {after.version} after {before.version}."
