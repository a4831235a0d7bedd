"""What must hold after the drain; each check says what it counted and what was wrong."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from safeurl.audit import path_faults
from safeurl.scan import AuditEntry
from safeurl.state import State, is_final
from tests.chaos.record import Record, Row, entry, time_of

_TERM = re.compile(r"^(?P<who>.*) term (?P<term>\d+)$")
_MOST_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Check:
    """A promise, what was counted, and one sentence per breach."""

    name: str
    counted: str
    faults: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Write it as a line, with the first breaches below."""
        shown = [f"         {fault}" for fault in self.faults[:_MOST_SHOWN]]
        if len(self.faults) > _MOST_SHOWN:
            shown.append(f"         and {len(self.faults) - _MOST_SHOWN} more")
        return "\n".join(
            [f"  {'FAIL' if self.faults else 'pass'}  {self.name}: {self.counted}", *shown]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The database after the drain."""

    scans: dict[str, Row]
    results: list[Row]
    trails: dict[str, list[AuditEntry]]
    terms: list[Row]

    @classmethod
    def read(cls, record: Record) -> "Found":
        """Read all of it."""
        trails: dict[str, list[AuditEntry]] = defaultdict(list)
        for row in record.rows("SELECT * FROM audit_logs ORDER BY id"):
            trails[row["scan_id"]].append(entry(row))
        return cls(
            scans={row["id"]: row for row in record.rows("SELECT * FROM scan_jobs")},
            results=record.rows("SELECT scan_id, attempt, outcome FROM scan_results"),
            trails=trails,
            terms=record.rows("SELECT * FROM leader_terms ORDER BY term"),
        )


def one_end(found: Found) -> Check:
    """Check that each scan has one final state, entered once, and the one result of it."""
    results = Counter(row["scan_id"] for row in found.results)
    outcomes = {row["scan_id"]: (row["attempt"], row["outcome"]) for row in found.results}
    faults = []
    for scan_id, scan in found.scans.items():
        ends = [e for e in found.trails[scan_id] if e.to_state and is_final(e.to_state)]
        if not is_final(State(scan["state"])):
            faults.append(f"{scan_id} is {scan['state']} at attempt {scan['attempt']}.")
        elif len(ends) != 1 or ends[0].to_state != scan["state"]:
            faults.append(f"{scan_id} reached {len(ends)} final states and is {scan['state']}.")
        elif results[scan_id] != 1 or outcomes[scan_id] != (scan["attempt"], scan["outcome"]):
            faults.append(f"{scan_id} has {results[scan_id]} results: {outcomes.get(scan_id)}.")
    return Check(
        "1 one final state and one result each", f"{len(found.scans)} scans", tuple(faults)
    )


def legal_paths(found: Found) -> Check:
    """Check each trail: legal moves, versions that grow by one, and the row at its last one."""
    faults = []
    for scan_id, scan in found.scans.items():
        trail = found.trails[scan_id]
        faults += [f"{scan_id}: {fault}" for fault in path_faults(trail)]
        steps = [each for each in trail if each.to_state is not None]
        claims = sum(each.to_state is State.FETCHING for each in steps)
        if (steps[-1].version, steps[-1].to_state) != (scan["version"], scan["state"]):
            faults.append(f"{scan_id}: the row is at version {scan['version']}, not its trail's.")
        if claims != scan["attempt"]:
            faults.append(f"{scan_id}: {claims} claims, but attempt {scan['attempt']}.")
    faults += [f"{scan} has a trail but no row." for scan in found.trails.keys() - found.scans]
    count = sum(map(len, found.trails.values()))
    return Check("2 legal audit paths", f"{count} entries", tuple(faults))


def one_leader(found: Found) -> Check:
    """Check that no term had two leaders, and that no deposed one has written."""
    faults = []
    holders = {row["term"]: row["holder"] for row in found.terms}
    if [row["term"] for row in found.terms] != list(range(1, len(holders) + 1)):
        faults.append("The terms do not count up by one.")
    elected = [time_of(row["elected_at"]) for row in found.terms]
    if elected != sorted(elected):
        faults.append("A later term began before an earlier one.")
    newest = 0
    fenced = 0
    for each in sorted(_all(found), key=lambda each: each.id):
        match = _TERM.match(each.actor)
        if match is None:
            continue
        fenced += 1
        term = int(match["term"])
        if term < newest:
            faults.append(f"Entry {each.id} was written in term {term} after one of {newest}.")
        newest = max(newest, term)
        if not holders.get(term, "").startswith(match["who"]):
            faults.append(f"Entry {each.id}: {match['who']} did not lead in term {term}.")
    counted = f"{len(holders)} terms, {fenced} fenced entries"
    return Check("5 one leader per term", counted, tuple(faults))


def all_present(found: Found, acknowledged: Sequence[str]) -> Check:
    """Check that every acknowledged scan is on record, once."""
    faults = [
        f"{scan} was acknowledged and is gone." for scan in acknowledged if scan not in found.scans
    ]
    if len(set(acknowledged)) != len(acknowledged):
        faults.append("An id was given twice.")
    return Check("6 acknowledged scans present", f"{len(acknowledged)} acknowledged", tuple(faults))


def within(name: str, seconds: float, limit_s: float, more: str = "") -> Check:
    """Check that a time is within its limit."""
    faults = () if seconds <= limit_s else (f"{seconds:.1f} s is too long.{more}",)
    return Check(name, f"worst {seconds:.1f} s of {limit_s:.0f} s", faults)


def _all(found: Found) -> Iterable[AuditEntry]:
    return (each for trail in found.trails.values() for each in trail)
