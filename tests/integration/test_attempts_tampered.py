"""Rows of attempts that an attacker deletes, edits or forges: refused, or named by `verify`."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from safeurl.adapters.sql.database import Statement
from safeurl.errors import RowRefusedError
from safeurl.services.audit_verify import verify
from safeurl.state import Outcome, State
from tests.support.builders import LEASE, NOW, WORKER, brought_to, finished
from tests.support.tampering import OpenTrail, Victim, on_sqld, on_sqlite

_SCAN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: The scan of the trail's third life, which is COMPLETED, and the one that is FETCHING.
_DONE = "(SELECT scan_id FROM audit_logs WHERE id = 9)"
_AT_WORK = "(SELECT scan_id FROM audit_logs WHERE id = 25)"
_AT = "2030-01-02T03:04:05.000000Z"
_NOW = "2026-01-02T03:04:05.678901Z"


def _put(scan: str, attempt: int) -> str:
    return (
        "INSERT INTO attempts (scan_id, attempt, owner, started_at)"  # noqa: S608 - constants of this test
        f" VALUES ({scan}, {attempt}, 'mallory', '{_AT}')"
    )


def _edit(change: str, scan: str = _DONE) -> str:
    return f"UPDATE attempts SET {change} WHERE scan_id = {scan}"  # noqa: S608 - constants of this test


#: Each with the faults that `verify` then names.
_CASES: dict[str, tuple[str, Sequence[str]]] = {
    "deleted": (
        f"DELETE FROM attempts WHERE scan_id = {_DONE}",  # noqa: S608 - a constant of this test
        ["Attempt 1, claimed with entry 10, has no row."],
    ),
    "of a scan at work deleted": (
        f"DELETE FROM attempts WHERE scan_id = {_AT_WORK}",  # noqa: S608 - a constant of this test
        ["Attempt 1, claimed with entry 26, has no row."],
    ),
    "forged beyond the last": (_put(_DONE, 2), ["Attempt 2 has a row, but nobody claimed it."]),
    "forged far beyond": (_put(_AT_WORK, 99), ["Attempt 99 has a row, but nobody claimed it."]),
    "owner": (
        _edit("owner = 'mallory'"),
        [f"Attempt 1 has owner mallory, but its trail says {WORKER}."],
    ),
    "start": (
        _edit(f"started_at = '{_AT}'"),
        [f"Attempt 1 has started_at {_AT}, but its trail says {_NOW}."],
    ),
    "end": (
        _edit(f"ended_at = '{_AT}'"),
        [f"Attempt 1 has ended_at {_AT}, but its trail says {_NOW}."],
    ),
    "outcome": (
        _edit("outcome = 'dns_failed'"),
        ["Attempt 1 has outcome dns_failed, but its trail says ok."],
    ),
    "count of failures": (
        _edit("counts_as_failure = 1"),
        ["Attempt 1 has counts_as_failure 1, but its trail says 0."],
    ),
    "opened again": (
        _edit("ended_at = NULL, outcome = NULL, counts_as_failure = NULL"),
        [
            f"Attempt 1 has ended_at None, but its trail says {_NOW}.",
            "Attempt 1 has outcome None, but its trail says ok.",
            "Attempt 1 has counts_as_failure None, but its trail says 0.",
        ],
    ),
    "ended before its time": (
        _edit(f"ended_at = '{_AT}', outcome = 'ok', counts_as_failure = 0", _AT_WORK),
        [
            f"Attempt 1 has ended_at {_AT}, but its trail says None.",
            "Attempt 1 has outcome ok, but its trail says None.",
            "Attempt 1 has counts_as_failure 0, but its trail says None.",
        ],
    ),
}


@pytest.fixture(params=[on_sqlite, on_sqld], ids=["sqlite", "sqld"])
def open_trail(request: pytest.FixtureRequest) -> OpenTrail:
    """Return one kind of database."""
    chosen: OpenTrail = request.param
    return chosen


async def _faults(victim: Victim) -> list[str]:
    return [_SCAN_ID.sub("S", fault) for fault in (await verify(victim.store)).faults]


@pytest.mark.parametrize("case", _CASES)
async def test_each_change_is_refused_and_named(
    case: str, open_trail: OpenTrail, tmp_path: Path
) -> None:
    """The triggers refuse it; if an attacker removed them for it, `verify` names it."""
    change, sentences = _CASES[case]
    async with open_trail(tmp_path) as victim:
        with pytest.raises(RowRefusedError):
            await victim.database.write([Statement(change)])
        assert await _faults(victim) == []
        await victim.suffer([change])
        assert await _faults(victim) == [f"Scan S: {sentence}" for sentence in sentences]


async def test_replacing_a_row_is_refused(open_trail: OpenTrail, tmp_path: Path) -> None:
    """INSERT OR REPLACE would take the old row away without waking a DELETE trigger."""
    async with open_trail(tmp_path) as victim:
        for how in ("INSERT OR REPLACE", "REPLACE"):
            change = _put(_DONE, 1).replace("INSERT", how)
            with pytest.raises(RowRefusedError):
                await victim.database.write([Statement(change)])
        assert await _faults(victim) == []


async def test_a_forged_row_does_not_stop_claims(open_trail: OpenTrail, tmp_path: Path) -> None:
    """The claim replaces it, the attempt ends normally, and the trail shows it forever."""
    async with open_trail(tmp_path) as victim:
        scan = await brought_to(victim.store, State.QUEUED)
        forged = _put(f"'{scan.id}'", 1)
        ended = forged.replace("started_at)", "started_at, ended_at, outcome, counts_as_failure)")
        await victim.suffer([ended.replace(f"'{_AT}')", f"'{_AT}', '{_AT}', 'ok', 1)")])
        claimed = await victim.store.claim(scan.id, owner="w2", now=NOW, lease_until=NOW + LEASE)
        assert claimed is not None
        await finished(victim.store, claimed, Outcome.WALL_TIMEOUT)
        (attempt,) = await victim.store.attempts(scan.id)
        assert (attempt.owner, attempt.outcome) == ("w2", Outcome.WALL_TIMEOUT)
        assert attempt.counts_as_failure is False
        (note,) = [e for e in await victim.store.audit(scan.id) if e.event == "attempt_replaced"]
        assert note.detail == f"A row of mallory that began {_AT} was removed."
        assert await _faults(victim) == [
            f"Scan S: Attempt 1 had a forged row before its claim (entry {note.id})."
        ]


async def test_a_forged_end_does_not_stop_the_scan(open_trail: OpenTrail, tmp_path: Path) -> None:
    """The scan still ends; the attempt keeps the forged end, which is named."""
    change, _ = _CASES["ended before its time"]
    async with open_trail(tmp_path) as victim:
        await victim.suffer([change])
        (row,) = await victim.database.read(Statement(f"SELECT {_AT_WORK} AS id"))
        scan = await victim.store.get(str(row["id"]))
        assert scan is not None
        await finished(victim.store, scan, Outcome.WALL_TIMEOUT)
        assert await _faults(victim) == [
            f"Scan S: Attempt 1 has ended_at {_AT}, but its trail says {_NOW}.",
            "Scan S: Attempt 1 has outcome ok, but its trail says wall_timeout.",
        ]


async def test_an_attempt_that_was_given_back_is_noted(
    open_trail: OpenTrail, tmp_path: Path
) -> None:
    """The move does not say that it does not count; the note in the trail does."""
    async with open_trail(tmp_path) as victim:
        for counts in (False, True):
            scan = await brought_to(victim.store, State.FETCHING)
            await victim.store.requeue(
                scan,
                outcome=Outcome.LEASE_LOST,
                detail=None,
                run_after=NOW,
                now=NOW,
                actor=WORKER,
                counts_as_failure=counts,
            )
            events = [entry.event for entry in await victim.store.audit(scan.id)]
            assert ("attempt_not_counted" in events) is not counts
            assert await _faults(victim) == []
            await victim.suffer([_edit(f"counts_as_failure = {int(not counts)}", f"'{scan.id}'")])
            told = f"has counts_as_failure {int(not counts)}, but its trail says {int(counts)}."
            assert await _faults(victim) == [f"Scan S: Attempt 1 {told}"]
            await victim.suffer([_edit(f"counts_as_failure = {int(counts)}", f"'{scan.id}'")])


async def test_attempts_go_with_their_scan(open_trail: OpenTrail, tmp_path: Path) -> None:
    """Deleting a scan is not stopped by the guard of its attempts."""
    async with open_trail(tmp_path) as victim:
        scan = await brought_to(victim.store, State.FETCHING)
        delete = "DELETE FROM scan_jobs WHERE id = :id"
        await victim.database.write([Statement(delete, {"id": scan.id})])
        assert await victim.store.attempts(scan.id) == []
