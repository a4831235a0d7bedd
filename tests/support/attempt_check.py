"""Compares a scan's attempts with its audit trail."""

from collections.abc import Iterator, Sequence

from safeurl.model.attempt import Attempt
from safeurl.model.scan import AuditEntry
from safeurl.state import State

_HELD = frozenset({State.FETCHING, State.ANALYZING})


def attempt_ends(trail: Sequence[AuditEntry]) -> dict[int, AuditEntry]:
    """Return, by the number of the attempt, the entry of the move that ended it."""
    return {
        entry.attempt: entry
        for entry in trail
        if entry.from_state in _HELD and entry.to_state not in {None, State.ANALYZING}
    }


def attempt_faults(attempts: Sequence[Attempt], trail: Sequence[AuditEntry]) -> Iterator[str]:
    """Compare the rows with the trail: one row for each claim, ended by the move that ended it."""
    claims = [entry for entry in trail if entry.to_state is State.FETCHING]
    if [each.attempt for each in attempts] != [claim.attempt for claim in claims]:
        yield f"{len(attempts)} attempts have a row, but there were {len(claims)} claims"
        return
    ends = attempt_ends(trail)
    for attempt, claim in zip(attempts, claims, strict=True):
        if (attempt.owner, attempt.started_at) != (claim.actor, claim.at):
            yield f"attempt {attempt.attempt} was not begun by entry {claim.id}"
        end = ends.get(attempt.attempt)
        wanted = (None, None) if end is None else (end.at, end.outcome)
        if (attempt.ended_at, attempt.outcome) != wanted:
            yield f"attempt {attempt.attempt} ended {attempt.outcome}, its trail says {wanted}"
        if (attempt.counts_as_failure is None) != (attempt.ended_at is None):
            yield f"attempt {attempt.attempt} is counted before its end, or not after it"
