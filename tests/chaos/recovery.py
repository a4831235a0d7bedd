"""How long a scan waited for another worker after its own was killed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from safeurl.model.scan import AuditEntry
from safeurl.state import State, is_final
from tests.chaos.faults import Kill


@dataclass(frozen=True, slots=True, order=True)
class Recovery:
    """From the kill of a scan's worker to the scan's next claim or its end."""

    seconds: float
    scan_id: str
    killed_at: datetime


def recoveries(trails: Iterable[Sequence[AuditEntry]], kills: Sequence[Kill]) -> list[Recovery]:
    """Return one for each kill that hit a scan, the slowest last.

    `trails` are complete, each of one scan and oldest first. A scan whose end or return was written
    before the kill was not hit by it.
    """
    return sorted(found for trail in trails for found in _of_one(trail, kills))


def _of_one(trail: Sequence[AuditEntry], kills: Sequence[Kill]) -> Iterable[Recovery]:
    steps = [entry for entry in trail if entry.to_state is not None]
    for index, claim in enumerate(steps):
        if claim.to_state is not State.FETCHING:
            continue
        rest = steps[index + 1 :]
        left_at = next((each.at for each in rest if each.to_state is not State.ANALYZING), None)
        killed_at = _killed(_pid(claim.actor), claim.at, left_at, kills)
        came_at = next((each.at for each in rest if _is_recovered(each)), None)
        if killed_at and came_at:
            seconds = (came_at - killed_at).total_seconds()
            yield Recovery(seconds, claim.scan_id, killed_at)


def _is_recovered(entry: AuditEntry) -> bool:
    return entry.to_state is State.FETCHING or bool(entry.to_state and is_final(entry.to_state))


def _killed(
    pid: int, after: datetime, before: datetime | None, kills: Sequence[Kill]
) -> datetime | None:
    """Return the time of the kill of the process, if it had the scan then."""
    return next(
        (
            kill.at
            for kill in kills
            if pid in kill.pids and kill.at > after and (before is None or kill.at < before)
        ),
        None,
    )


def _pid(actor: str) -> int:
    """Return the process of a worker's name, 0 for any other actor."""
    digits = actor.rpartition(":")[2]
    return int(digits) if digits.isdecimal() else 0
