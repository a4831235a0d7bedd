"""The checks after the end of the scans; each reports its count and its faults."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median

from safeurl.model.attempt import Attempt
from safeurl.model.audit import path_faults
from safeurl.model.scan import AuditEntry
from safeurl.state import Outcome, State, is_final
from tests.chaos.record import Record, Row, attempt, entry, time_of
from tests.support.attempt_check import attempt_ends, attempt_faults

_MOST_SHOWN = 5
#: What an attempt ends with that was hit by a fault.
_FAULTS = frozenset({Outcome.LEASE_LOST, Outcome.SANDBOX_UNAVAILABLE})
#: A run of so many scans sees at least so many kinds of fault.
_MANY_SCANS, _MANY_KINDS = 100, 6
#: What was asked of the database before a new term was recorded may be written that much later.
_COMMIT = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Check:
    """A promise, the count, and one sentence per breach."""

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
    attempts: dict[str, list[Attempt]]
    terms: list[Row]
    seals: list[Row]

    @classmethod
    def read(cls, record: Record) -> "Found":
        """Read all of it."""
        trails: dict[str, list[AuditEntry]] = defaultdict(list)
        for row in record.rows("SELECT * FROM audit_logs ORDER BY id"):
            trails[row["scan_id"]].append(entry(row))
        attempts: dict[str, list[Attempt]] = defaultdict(list)
        for row in record.rows("SELECT * FROM attempts ORDER BY scan_id, attempt"):
            attempts[row["scan_id"]].append(attempt(row))
        return cls(
            attempts=attempts,
            scans={row["id"]: row for row in record.rows("SELECT * FROM scan_jobs")},
            results=record.rows("SELECT scan_id, attempt, outcome FROM scan_results"),
            trails=trails,
            terms=record.rows("SELECT * FROM leader_terms ORDER BY term"),
            seals=record.rows("SELECT number, last_id, term FROM audit_seals ORDER BY number"),
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


def attempt_rows(found: Found) -> Check:
    """Check that each claim has one row in `attempts` whose end equals the trail's."""
    faults = [
        f"{scan_id}: {fault}."
        for scan_id, trail in found.trails.items()
        for fault in attempt_faults(found.attempts.get(scan_id, []), trail)
    ]
    faults += [
        f"{scan_id} has attempts but no trail." for scan_id in found.attempts.keys() - found.trails
    ]
    count = sum(map(len, found.attempts.values()))
    return Check("2 a row for each attempt", f"{count} attempts", tuple(faults))


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
    for each, term in _fenced(found):
        fenced += 1
        if term < newest:
            faults.append(f"Entry {each.id} was written in term {term} after one of {newest}.")
        newest = max(newest, term)
        leader, _, _ = holders.get(term, "nobody").partition("+")
        if not each.actor.startswith(leader):
            faults.append(f"Entry {each.id}: {each.actor} did not lead in term {term}.")
    counted = f"{len(holders)} terms, {fenced} fenced entries"
    return Check("5 one leader per term", counted, tuple(faults))


def deposed_are_refused(found: Found, deposed: int) -> Check:
    """Check that no entry or seal of a term comes after those of the next term.

    Ids are assigned in the writing transaction, so they show the order of writes. The time of an
    entry is its writer's, and may be from before the writer was stopped.
    """
    over_at = {row["term"] - 1: time_of(row["elected_at"]) + _COMMIT for row in found.terms}
    faults = []
    seen_at: dict[int, datetime] = {}
    newest_at = datetime.min.replace(tzinfo=UTC)
    terms = {each.id: term for each, term in _fenced(found)}
    for each in sorted(_all(found), key=lambda each: each.id):
        term = terms.get(each.id)
        if term is not None and newest_at > over_at.get(term, newest_at):
            faults.append(f"Entry {each.id} of term {term} was written after it.")
        newest_at = seen_at[each.id] = max(newest_at, each.at)
    newest = 0
    for seal in found.seals:
        over = over_at.get(seal["term"], newest_at)
        if seal["term"] < newest or seen_at.get(seal["last_id"], over) > over:
            faults.append(f"Seal {seal['number']} of term {seal['term']} was written after it.")
        newest = max(newest, seal["term"])
    counted = f"{len(found.seals)} seals, {deposed} leaders stopped past their term"
    return Check("5 deposed leaders are refused", counted, tuple(faults))


def good_ends(found: Found, max_retries: int) -> Check:
    """Check that each page, all of which answer, was seen, unless faults used up its retries.

    A fault around a sandbox does not depend on the page, and must not look so.
    """
    faults = []
    given_up = 0
    for scan_id, scan in found.scans.items():
        ends = [each.outcome for each in found.trails[scan_id] if each.outcome is not None]
        blamed = {each for each in ends if each not in {Outcome.OK, *_FAULTS}}
        if blamed:
            faults.append(f"{scan_id}: {', '.join(sorted(blamed))}, but its page is fine.")
        elif scan["state"] != State.COMPLETED:
            given_up += 1
            if sum(each in _FAULTS for each in ends) <= max_retries:
                faults.append(f"{scan_id} is {scan['state']} after {', '.join(ends)}.")
    counted = f"{len(found.scans) - given_up} seen, {given_up} out of retries"
    return Check("1 pages that answer are seen", counted, tuple(faults))


def no_long_hold(found: Found, limit_s: float) -> Check:
    """Check from the audit trail how long any scan stayed with a worker, one that was lost too."""
    holds = [
        ((later.at - each.at).total_seconds(), each)
        for trail in found.trails.values()
        for each, later in pairwise(each for each in trail if each.to_state is not None)
        if each.to_state is not State.QUEUED
    ]
    worst_s, worst = max(holds, key=lambda hold: hold[0])
    told = f" {worst.scan_id} stayed {worst.to_state} from {worst.at:%H:%M:%S}"
    return within("4 no scan is held for long, whatever is broken", worst_s, limit_s, told)


def enough_broken(counts: Mapping[str, int], recovered: int, scans: int) -> Check:
    """Check that the run has shown something: faults of many kinds, and a worker's recovery."""
    kinds = sum(count > 0 for count in counts.values())
    faults = []
    if not recovered:
        faults.append("No scan was recovered from a killed worker.")
    if scans >= _MANY_SCANS and kinds < _MANY_KINDS:
        faults.append(f"Of {_MANY_KINDS} kinds of fault at least, {kinds} came.")
    counted = f"{kinds} kinds of fault, {recovered} recoveries"
    return Check("enough was broken", counted, tuple(faults))


def failover(seconds: Sequence[float], limit_s: float) -> Check:
    """Check that another led in time, each time that a leader's tree was killed."""
    check = within("5 failover within two leases", max(seconds, default=0.0), limit_s)
    if not seconds:
        return replace(check, counted="no leader was killed")
    middle = f"{check.counted}, median {median(seconds):.1f} s, {len(seconds)} times"
    return replace(check, counted=middle)


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


def _fenced(found: Found) -> list[tuple[AuditEntry, int]]:
    """Return the entries of moves that a leader made, each with its term, in their order."""
    fenced = []
    for scan_id, attempts in found.attempts.items():
        ends = attempt_ends(found.trails[scan_id])
        fenced += [
            (ends[each.attempt], each.term)
            for each in attempts
            if each.term is not None and each.attempt in ends
        ]
    return sorted(fenced, key=lambda each: each[0].id)


def _all(found: Found) -> Iterable[AuditEntry]:
    return (each for trail in found.trails.values() for each in trail)
