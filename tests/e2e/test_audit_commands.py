"""`safeurl audit` as an auditor or a script uses it."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from safeurl.bootstrap import open_store
from safeurl.model.audit import AuditRow, Seal
from safeurl.model.seal import sha256_of
from tests.support.builders import NOW, claimed, make_scan
from tests.support.system import System
from tests.support.tampering import ROWS, ROWS_PER_SEAL, SEALED_ROWS, on_sqlite


@pytest.fixture
async def system(tmp_path: Path) -> System:
    """Return an installation whose trail has sealed rows and others."""
    system = System(tmp_path)
    async with on_sqlite(system.settings.database_path.parent):
        return system


def _tamper(system: System, *changes: str) -> None:
    with closing(sqlite3.connect(system.settings.database_path)) as database:
        for change in ("DROP TRIGGER audit_logs_no_update", *changes):
            database.execute(change)
        database.commit()


def _lines(system: System, *arguments: str) -> list[dict[str, object]]:
    done = system.run("audit", "export", *arguments)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_verify_tells_that_all_is_well(system: System) -> None:
    """Exit code 0, the counts, and the newest seal, which is a valid anchor the next time."""
    done = system.run("audit", "verify")
    assert (done.returncode, done.stderr) == (0, "")
    seen, well, head = done.stdout.splitlines()
    assert seen == "Seen: 29 rows (5 of them not sealed yet), 3 seals, 8 scans."
    assert well == "Nothing is wrong."
    anchor = head.removeprefix("Newest seal, to be kept in another place: ")
    again = system.run("audit", "verify", "--json", "--anchor", anchor, "--anchor", anchor.upper())
    assert again.returncode == 0
    assert json.loads(again.stdout) == {
        "rows": ROWS,
        "unsealed": 5,
        "seals": 3,
        "scans": 8,
        "head": anchor,
        "faults": [],
        "fault_count": 0,
    }


def test_verify_names_faults(system: System) -> None:
    """Exit code 1, a sentence each without control characters, and no head to trust."""
    _tamper(
        system,
        "UPDATE audit_logs SET scan_id = char(27) || '[2J', actor = 'x' WHERE id = 10",
        "UPDATE audit_logs SET actor = 'x' WHERE id = 15",
    )
    done = system.run("audit", "verify", "--anchor", "3:" + "0" * 64)
    assert done.returncode == 1
    assert "Row 10 (scan [2J) is not what was sealed.\n" in done.stdout
    assert f"Seal 3 is not the anchor 3:{'0' * 64}.\n" in done.stdout
    assert "\x1b" not in done.stdout
    assert "Head" not in done.stdout
    document = json.loads(system.run("audit", "verify", "--json").stdout)
    # Two rows, two moves and the attempt of the scan of one of them, and the missing trigger.
    assert document["fault_count"] == len(document["faults"]) == 6


@pytest.mark.parametrize("anchor", ["3", "x:y", "3:abc", "-1:" + "0" * 64, "٣:" + "0" * 64])
def test_what_is_no_anchor_is_refused(system: System, anchor: str) -> None:
    """Exit code 2 and one sentence."""
    done = system.run("audit", "verify", f"--anchor={anchor}")
    assert done.returncode == 2
    assert "64 hex digits" in done.stderr


def test_verify_of_nothing(tmp_path: Path) -> None:
    """A new installation has nothing to find fault with, and no head."""
    system = System(tmp_path)
    assert system.run("migrate").returncode == 0
    done = system.run("audit", "verify")
    assert done.returncode == 0
    assert done.stdout == (
        "Seen: 0 rows (0 of them not sealed yet), 0 seals, 0 scans.\nNothing is wrong.\n"
    )


def test_text_that_is_no_text_is_told_of(system: System) -> None:
    """Bytes that no program of ours can have written end the verification with a message."""
    _tamper(system, "UPDATE audit_logs SET actor = CAST(x'ff' AS TEXT) WHERE id = 10")
    done = system.run("audit", "verify")
    assert done.returncode == 75
    assert "UTF-8" in done.stderr


async def test_show_prints_a_scans_trail(system: System) -> None:
    """One line per move, with hostile text cleaned; also after the scan was deleted."""
    scan = make_scan(source="ho\x1b[2Jst")
    async with open_store(system.settings) as store:
        await store.add([scan])
        await claimed(store, scan)
    done = system.run("audit", "show", scan.id)
    assert done.returncode == 0
    time = NOW.strftime("%Y-%m-%d %H:%M:%SZ")
    assert [line.split("\t") for line in done.stdout.splitlines()] == [
        ["time", "event", "move", "attempt", "actor", "outcome", "detail"],
        [time, "submitted", "→ QUEUED", "0", "ho [2Jst", "", ""],
        [time, "transition", "QUEUED → FETCHING", "1", "worker-1", "", ""],
    ]
    with closing(sqlite3.connect(system.settings.database_path)) as database:
        database.execute("DELETE FROM scan_jobs WHERE id = ?", [scan.id])
        database.commit()
    document = json.loads(system.run("audit", "show", "--json", scan.id).stdout)
    assert document["id"] == scan.id
    assert [entry["to_state"] for entry in document["audit"]] == ["QUEUED", "FETCHING"]


def test_show_of_an_unknown_scan(system: System) -> None:
    """Exit code 2, as for every command that is given an id."""
    done = system.run("audit", "show", "nope")
    assert done.returncode == 2
    assert "No scan has the id 'nope'." in done.stderr


def test_export_is_the_whole_trail(system: System) -> None:
    """Each seal follows its rows, and its hash can be computed from the export."""
    lines = _lines(system)
    kinds = [line["kind"] for line in lines]
    assert kinds == (["row"] * ROWS_PER_SEAL + ["seal"]) * 3 + ["row"] * (ROWS - SEALED_ROWS)
    rows = [msgspec.convert(line, AuditRow) for line in lines if line["kind"] == "row"]
    seals = [msgspec.convert(line, Seal) for line in lines if line["kind"] == "seal"]
    assert [row.id for row in rows] == list(range(1, ROWS + 1))
    for seal in seals:
        assert sha256_of(seal, rows[seal.first_id - 1 : seal.last_id]) == seal.sha256


def test_export_goes_on_where_an_earlier_one_ended(system: System) -> None:
    """It starts after the last row of a seal; a seal that covers older rows too is complete."""
    lines = _lines(system)
    assert _lines(system, "--after", "29") == []
    assert lines[17]["kind"] == "seal"
    assert _lines(system, "--after", "16") == lines[18:]
    assert _lines(system, "--after", "20") == [lines[n] for n in range(22, len(lines))]


def test_export_to_a_reader_that_goes(system: System) -> None:
    """`export | head -1` ends without complaint, with the exit code of a broken pipe."""
    with system.command("audit", "export") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=30) == 141
