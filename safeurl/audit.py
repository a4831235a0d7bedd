"""Reading a scan's audit trail: whether it tells a legal life without gaps."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from safeurl.scan import AuditEntry
from safeurl.state import State, is_legal


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
