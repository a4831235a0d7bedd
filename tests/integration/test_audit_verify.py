"""Attacks with write access to the database and without triggers: `verify` names the changes."""

import asyncio
import contextlib
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from safeurl.adapters.memory.store import MemoryStore
from safeurl.model.audit import Seal
from safeurl.model.seal import NO_ROW, digest, seal_over
from safeurl.services.audit_verify import MAX_FAULTS, Anchor, verify
from safeurl.state import State
from tests.support.builders import LEASE, NOW, brought_to, make_scan
from tests.support.tampering import (
    ROWS,
    SEALED_ROWS,
    OpenTrail,
    Victim,
    on_sqld,
    on_sqlite,
)
from tests.support.tampering_cases import COPY, SET_BACK, TAMPERING_CASES
from worker.leader.sealer import Sealer

_SCAN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture(params=[on_sqlite, on_sqld], ids=["sqlite", "sqld"])
def open_trail(request: pytest.FixtureRequest) -> OpenTrail:
    """Return one kind of database."""
    chosen: OpenTrail = request.param
    return chosen


def _named(faults: Sequence[str]) -> list[str]:
    return [_SCAN_ID.sub("S", fault) for fault in faults]


@pytest.mark.parametrize("case", TAMPERING_CASES)
async def test_each_change_is_named(case: str, open_trail: OpenTrail, tmp_path: Path) -> None:
    """Every sentence is there, and none about unchanged rows."""
    changes, sentences = TAMPERING_CASES[case]
    async with open_trail(tmp_path) as victim:
        if changes:
            await victim.suffer(changes)
        named = _named((await verify(victim.store)).faults)
        if "…" in sentences:
            assert set(sentences) - {"…"} <= set(named), named
        else:
            assert sorted(named) == sorted(sentences)


@pytest.mark.parametrize("parts", ["not json", "{", "[" * 100_000])
async def test_a_value_that_is_no_json_is_named(parts: str, tmp_path: Path) -> None:
    """A CHECK that cannot be evaluated is a fault; the rest is still verified."""
    async with on_sqlite(tmp_path) as victim:
        (path,) = tmp_path.rglob("*.db")
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            database.execute("PRAGMA ignore_check_constraints = 1")
            at = "2026-01-01T00:00:00.000000Z"
            values = ("w", "host", 1, 1, at, at, "", parts, 1)
            database.execute("INSERT INTO workers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        await victim.suffer(["DELETE FROM audit_logs WHERE id = 11"])
        faults = (await verify(victim.store)).faults
    assert "SQLite finds damage: malformed JSON." in faults
    assert "Row 11 is missing, deleted after the sealing." in faults
    assert any("workers_parts_json" in fault for fault in faults)


async def test_no_column_may_be_edited(open_trail: OpenTrail, tmp_path: Path) -> None:
    """Whichever it is, and if it had no value: the row is named."""
    columns = {
        "scan_id": "'x'",
        "event": "'sandbox', to_state = NULL",
        "version": "9",
        "attempt": "9",
        "from_state": "'FAILED'",
        "to_state": "'QUEUED'",
        "actor": "''",
        "outcome": "'ok'",
        "detail": "''",
        "at": "'2026-01-02T03:04:05.678902Z'",
    }
    async with open_trail(tmp_path) as victim:
        # One row each, all of them submissions but those whose columns hold a state.
        at = dict(zip(columns, (1, 5, 9, 13, 2, 3, 17, 21, 6, 7), strict=True))
        await victim.suffer(
            [
                f"UPDATE audit_logs SET {column} = {value} WHERE id = {at[column]}"  # noqa: S608 - constants of this test
                for column, value in columns.items()
            ]
        )
        named = _named((await verify(victim.store)).faults)
        for column, row_id in at.items():
            rows = [line for line in named if line.startswith(f"Row {row_id} ")]
            assert len(rows) == 1, column
            assert rows[0].endswith("is not what was sealed."), column


async def _all_anew(victim: Victim) -> list[Seal]:
    """Compute the complete chain again over the present rows, and store it."""
    seals = await victim.store.seals(after=0, limit=10)
    rows = await victim.store.rows(after=0, limit=100)
    anew: list[Seal] = []
    for seal in seals:
        forged = seal_over(
            [row for row in rows if seal.first_id <= row.id <= seal.last_id],
            number=seal.number,
            last_id=seal.last_id,
            previous=anew[-1] if anew else None,
            at=NOW,
            term=seal.term,
        )
        anew.append(forged)
    forge = (
        "UPDATE audit_seals SET sha256 = '{0.sha256}', digests = '{0.digests}',"
        " previous_sha256 = '{0.previous_sha256}' WHERE number = {0.number}"
    )
    await victim.suffer([forge.format(seal) for seal in anew])
    return seals


async def test_a_chain_computed_anew_is_shown_by_an_anchor(
    open_trail: OpenTrail, tmp_path: Path
) -> None:
    """The new chain is valid, but differs from the noted seal; older anchors still match."""
    async with open_trail(tmp_path) as victim:
        assert await verify(victim.store, anchors=[]) == await verify(victim.store)
        await victim.suffer(["UPDATE audit_logs SET actor = 'nobody' WHERE id = 9"])
        was = await _all_anew(victim)
        assert (await verify(victim.store)).faults == ()
        anchors = [Anchor(number=seal.number, sha256=seal.sha256) for seal in was]
        anchors.append(Anchor(number=4, sha256="c" * 64))
        found = await verify(victim.store, anchors=anchors)
        assert found.faults == (
            f"Seal 2 is not the anchor 2:{was[1].sha256}.",
            f"Seal 3 is not the anchor 3:{was[2].sha256}.",
            "There is no seal 4, which an anchor names.",
        )


async def test_a_row_edited_with_its_digest_breaks_its_seal(
    open_trail: OpenTrail, tmp_path: Path
) -> None:
    """The row cannot be named then, but the range that contains it."""
    async with open_trail(tmp_path) as victim:
        await victim.suffer(["UPDATE audit_logs SET actor = 'nobody' WHERE id = 10"])
        row = (await victim.store.rows(after=9, limit=1))[0]
        forged = f"substr(digests, 1, 16) || '{digest(row)}' || substr(digests, 33)"
        await victim.suffer(
            [f"UPDATE audit_seals SET digests = {forged} WHERE number = 2"]  # noqa: S608 - our own digest
        )
        assert _named((await verify(victim.store)).faults) == [
            "Seal 2 over rows 9 to 16 was edited, or rows were edited with their digests.",
            "Scan S: Attempt 1 has owner worker-1, but its trail says nobody.",
        ]


async def test_a_hole_is_sealed_as_a_hole(
    open_trail: OpenTrail, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A row that was missing at the sealing is reported forever, also if it is inserted later."""
    async with open_trail(tmp_path) as victim:
        await victim.suffer(["DELETE FROM audit_logs WHERE id = 29"])
        await brought_to(victim.store, State.QUEUED)
        assert await victim.seal() == 1
        assert "sealer.rows_missing number=4 count=1" in caplog.text
        assert (await victim.store.seals(after=3, limit=9))[0].digests[64:80] == NO_ROW
        hole = "Row 29 is missing already when sealed."
        assert (await verify(victim.store)).faults == (hole,)
        await victim.suffer([f"INSERT INTO audit_logs SELECT 29, {COPY} WHERE id = 26"])
        assert "Row 29 (scan S) was put in: no row stood there when seal 4 was made." in _named(
            (await verify(victim.store)).faults
        )


async def test_a_wide_hole_does_not_stop_the_sealer(open_trail: OpenTrail, tmp_path: Path) -> None:
    """A gap longer than a seal is sealed over several."""
    async with open_trail(tmp_path) as victim:
        await victim.suffer([SET_BACK.format(50, "logs")])
        await brought_to(victim.store, State.QUEUED)
        assert await victim.seal() == 4
        found = await verify(victim.store)
        assert found.faults == ("Rows 30 to 50 are missing already when sealed.",)
        assert (found.rows, found.unsealed, found.seals) == (ROWS + 1, 0, 7)


async def test_seals_that_were_cut_off_are_missed_for_ever(
    open_trail: OpenTrail, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The sealer seals the rows again, but gives no number twice."""
    async with open_trail(tmp_path) as victim:
        await victim.suffer(["DELETE FROM audit_seals WHERE number > 1"])
        assert await victim.seal() == 3
        assert "sealer.seals_missing last=3" in caplog.text
        found = await verify(victim.store)
        assert found.faults == ("Seals 2 to 3 are missing.",)
        assert found.unsealed == 0
        assert [seal.number for seal in await victim.store.seals(after=0, limit=9)] == [1, 4, 5, 6]


async def test_every_seal_is_logged_as_an_anchor(
    open_trail: OpenTrail, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Number, range and hash are in one line, so that a log in another place can be compared."""
    caplog.set_level("INFO", "safeurl.sealer")
    async with open_trail(tmp_path) as victim:
        seals = await victim.store.seals(after=0, limit=9)
        logged = [record.getMessage() for record in caplog.records]
        assert [line for line in logged if line.startswith("sealer.")] == [
            f"sealer.sealed number={seal.number} first={seal.first_id} last={seal.last_id}"
            f" sha256={seal.sha256}"
            for seal in seals
        ]


async def test_of_many_faults_the_first_are_told(open_trail: OpenTrail, tmp_path: Path) -> None:
    """The others are counted."""
    async with open_trail(tmp_path) as victim:
        for _ in range(20):
            await brought_to(victim.store, State.COMPLETED)
        await victim.seal()
        await victim.suffer(["UPDATE audit_logs SET detail = 'x'"])
        found = await verify(victim.store)
        assert len(found.faults) == MAX_FAULTS
        assert found.fault_count == ROWS + 80


async def test_the_walk_turns_every_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result is the same for every number of rows per read."""
    async with on_sqlite(tmp_path) as victim:
        edit = "UPDATE audit_logs SET actor = 'nobody' WHERE id = 20"
        await victim.suffer([edit, "DELETE FROM audit_logs WHERE id >= 28"])
        whole = await verify(victim.store)
        for page in ("_ROWS_PAGE", "_SEALS_PAGE", "_SCANS_PAGE"):
            monkeypatch.setattr(f"safeurl.services.audit_verify.{page}", 2)
        assert await verify(victim.store) == whole
        assert (whole.rows, whole.seals, whole.scans, whole.fault_count) == (27, 3, 8, 4)


async def test_of_many_differences_the_first_are_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are counted, with limited memory."""
    monkeypatch.setattr("safeurl.services.audit_verify._MAX_DIFFERENCES", 10)
    async with on_sqlite(tmp_path) as victim:
        await victim.suffer(["UPDATE audit_logs SET detail = 'x'"])
        found = await verify(victim.store)
        assert (len(found.faults), found.fault_count) == (10, SEALED_ROWS)


async def test_what_is_sealed_right_after_the_count_is_no_fault() -> None:
    """A seal that is found but was not there at the start belongs to the next verification."""

    class Counted(MemoryStore):
        """Is written to and sealed between the count and the walk."""

        is_quiet = False

        async def last_numbers(self) -> tuple[int, int]:
            """Count, and let others write before the result is known."""
            numbers = await super().last_numbers()
            if not self.is_quiet:
                await fill(self)
            return numbers

    async def fill(store: Counted) -> None:
        store.is_quiet = True
        await brought_to(store, State.COMPLETED)
        term = (await store.lead("a", now=NOW, until=NOW + LEASE)).term
        assert await Sealer(store, clock=lambda: NOW).seal(term) == 1

    store = Counted()
    await fill(store)
    store.is_quiet = False
    found = await verify(store)
    assert (found.faults, found.rows, found.seals) == ((), 4, 1)


async def test_what_comes_in_meanwhile_is_no_fault(open_trail: OpenTrail, tmp_path: Path) -> None:
    """While others write and seal, walk after walk finds nothing."""
    async with open_trail(tmp_path) as victim:
        over = asyncio.Event()

        async def write() -> None:
            while not over.is_set():
                await brought_to(victim.store, State.COMPLETED)
                await victim.store.add([make_scan() for _ in range(3)])
                await victim.seal()

        writers = [asyncio.create_task(write()) for _ in range(2)]
        try:
            walks = [await verify(victim.store) for _ in range(10)]
        finally:
            over.set()
            await asyncio.gather(*writers)
        assert [walk.faults for walk in walks] == [()] * 10
        assert walks[-1].rows > walks[0].rows >= SEALED_ROWS
