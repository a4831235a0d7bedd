"""The audit trail as it is kept, and whether a scan's trail tells a legal life without gaps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from itertools import pairwise

from safeurl.model.scan import AuditEntry
from safeurl.state import Outcome, State, is_legal

#: What stands before the first seal.
NO_SEAL = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """A range of audit rows that is closed (an `audit_seals` row); the ranges leave no gap."""

    number: int
    first_id: int
    last_id: int
    #: Sixteen hex digits for each id from first to last, dashes for one that was not there.
    digests: str
    #: Over the seal before it and every byte of the rows; lower-case hex.
    sha256: str
    previous_sha256: str
    #: As text, because it is sealed with the rest.
    sealed_at: str
    #: The term of the leader that sealed.
    term: int


class Risk(IntEnum):
    """What an object of a foreign schema can run, and so how far its database may be read."""

    #: It runs only when somebody writes, or reads it by its name: a trigger, a view.
    NONE = 0
    #: It may run when every row is checked: an index, or another table.
    CHECKING = 1
    #: It may run when our tables are read.
    READING = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaFault:
    """One difference between the schema of a database and the one that SafeURL makes."""

    #: `table`, `index`, `trigger`, `view`, or what else the database calls it.
    kind: str
    name: str
    #: One sentence that names both, for people.
    text: str
    risk: Risk


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """An `audit_logs` row just as it is kept, whether or not SafeURL could have written it."""

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
class Trail:
    """Where a scan stands, and its audit rows of the same moment, oldest first."""

    scan_id: str
    state: str
    version: int
    rows: tuple[AuditRow, ...]


def entry_of(row: AuditRow) -> AuditEntry:
    """Read the row's words and times; raise ValueError where SafeURL has no such word."""
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
    """Return what is wrong with a scan's trail, and where it ends elsewhere than the scan."""
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
    """Return what is wrong with a scan's trail, one sentence each; an empty list for nothing.

    `entries` is the whole trail of one scan, oldest first; notes are passed over.
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
