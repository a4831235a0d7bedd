"""Attacks on backup and restore by an attacker who knows our code, through the real commands."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from safeurl.adapters.backup import Location, Restorer
from safeurl.adapters.backup.archive import ArchiveWriter
from safeurl.adapters.sql.schema.shipped import schema_sql, statements_of
from safeurl.errors import RequestError
from tests.support.builders import NOW
from tests.support.hostile_backup import archive, changed, honest_members
from tests.support.schema_changes import apply
from tests.support.system import System

#: Some of these have no end where the wall is missing.
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the members of a valid backup of five scans."""
    return honest_members(tmp_path_factory.mktemp("good"))


def _restore(data: bytes, folder: Path) -> str:
    """Return why the backup is refused; nothing is left of it."""
    file, state = folder / "hostile.tar", folder / "restored"
    file.write_bytes(data)
    place = Location(
        folder=state,
        database=state / "safeurl.db",
        artefacts=state / "artefacts",
        valkey_lock=state / "valkey" / "lock",
    )
    with pytest.raises(RequestError) as caught:
        Restorer(place, at=NOW, progress=lambda *_: None).restore(file, replace=False)
    left = sorted(str(path.relative_to(state)) for path in state.rglob("*"))
    assert left == ["artefacts", "valkey", "valkey/lock"]
    return str(caught.value)


def _hidden(name: str, before: str, comment: str) -> str:
    """Return SQL that has SQLite end a definition early, by a NUL in a comment."""
    return (
        f"UPDATE sqlite_master SET sql = replace(sql, '{before}', {comment} || '{before}') "  # noqa: S608 - constants of this table
        f"WHERE name = '{name}'"
    )


_HIDDEN = {
    "not STRICT any more": ("workers", ") STRICT", "')--' || char(0) || char(10)"),
    "the same in the other kind of comment": ("workers", " STRICT", "'/* ' || char(0) || '*/'"),
    "an index of every row": (
        "scan_jobs_leased",
        "WHERE lease_until",
        "'/* ' || char(0) || '*/'",
    ),
}


@pytest.mark.parametrize("what", _HIDDEN)
def test_a_nul_in_a_comment_hides_no_change(
    what: str, good: dict[str, bytes], tmp_path: Path
) -> None:
    """SQLite reads a definition to its first NUL; text after it must not make it look complete."""
    name, before, comment = _HIDDEN[what]
    statements = [_hidden(name, before, comment)]
    if what == "an index of every row":
        statements.append(f"REINDEX {name}")
    if before.startswith(")"):
        statements = [statements[0].replace(f"|| '{before}'", "|| ' STRICT'")]
    database = changed(good, tmp_path, *statements)
    assert f"{name} is changed" in _restore(archive(good, database), tmp_path)


def test_audit_verify_sees_through_it_too(tmp_path: Path) -> None:
    """The same change, made in the live database."""
    system = System(tmp_path / "state")
    assert system.run("migrate").returncode == 0
    assert system.run("audit", "verify").returncode == 0
    apply(
        system.settings.database_path, [_hidden(*_HIDDEN["the same in the other kind of comment"])]
    )
    done = system.run("audit", "verify")
    assert done.returncode == 1
    assert "The table workers is changed" in done.stdout


def test_a_manifest_that_is_nested_without_end_is_damage(tmp_path: Path) -> None:
    """It exhausts a recursive parser; it is reported as damage, not as our own defect."""
    file = tmp_path / "nested.tar"
    with file.open("wb") as stream:
        document = b'{"format":1,"safeurl":' + b"[" * 60_000
        writer = ArchiveWriter(stream, NOW)
        writer.add("manifest.json", len(document), [document])
        writer.finish()
    done = System(tmp_path / "state").run("restore", str(file))
    assert done.returncode == 2
    assert "is damaged" in done.stderr
    assert "Traceback" not in done.stderr


_POISON = {
    "no number left for the audit trail": (
        "UPDATE sqlite_sequence SET seq = 9223372036854775807",
        "breaks the rule counter_is_a_number",
    ),
    "a counter of text": (
        "UPDATE sqlite_sequence SET seq = 'x'",
        "breaks the rule counter_is_a_number",
    ),
    "two counters for one table": (
        "INSERT INTO sqlite_sequence SELECT * FROM sqlite_sequence",
        "break the rule one_counter_for_each_table",
    ),
    "a row with the last number": (
        "UPDATE audit_logs SET id = 9223372036854775807 WHERE id = 1",
        "breaks the rule audit_logs_numbers_left",
    ),
    **{
        f"the time {time!r}": (
            f"UPDATE scan_jobs SET run_after = '{time}' WHERE state = 'QUEUED'",  # noqa: S608 - constants of this table
            "1 row of scan_jobs breaks the rule scan_jobs_run_after_utc",
        )
        for time in (
            "abcd-ef-ghTij:kl:mn.opqrstZ",
            "2026-13-01T00:00:00.000000Z",
            "2026-02-31T00:00:00.000000Z",
            "0000-01-01T00:00:00.000000Z",
            "2026-01-01T24:00:00.000000Z",
            "2026-01-01T00:00:00.00000 Z",
        )
    },
    "text that is no UTF-8": (
        "UPDATE scan_jobs SET url = CAST(x'68ff' AS TEXT) WHERE state = 'QUEUED'",
        "a row of scan_jobs holds text that is not UTF-8",
    ),
}


def _free(statement: str) -> list[str]:
    """Return the statement with every trigger taken away before and put back after."""
    triggers = [sql for sql in statements_of(schema_sql()) if sql.startswith("CREATE TRIGGER")]
    return [*(f"DROP TRIGGER {sql.split()[2]}" for sql in triggers), statement, *triggers]


@pytest.mark.parametrize("what", _POISON)
def test_rows_that_would_stop_an_installation_are_refused(
    what: str, good: dict[str, bytes], tmp_path: Path
) -> None:
    """Each satisfies every CHECK, but afterwards SafeURL could write or list nothing."""
    statement, words = _POISON[what]
    assert words in _restore(archive(good, changed(good, tmp_path, *_free(statement))), tmp_path)


def test_audit_verify_names_what_cannot_be_gone_on_with(tmp_path: Path) -> None:
    """In a live database it is a fault of the trail, not our own defect."""
    system = System(tmp_path / "state")
    done = system.run("https://example.com/", program="submit-scan")
    assert done.returncode == 0, done.stderr
    apply(system.settings.database_path, [_POISON["no number left for the audit trail"][0]])
    found = system.run("audit", "verify")
    assert found.returncode == 1
    assert "1 row of sqlite_sequence breaks the rule counter_is_a_number." in found.stdout


@pytest.mark.parametrize(
    "names",
    [
        ("audit_logs", "audit_seals"),
        ("workers", "leader_terms"),
        ("scan_jobs_due", "scan_jobs_leased"),
        ("scan_jobs", "scan_jobs_pending"),
    ],
)
def test_two_objects_on_one_page_are_damage(
    names: tuple[str, str], good: dict[str, bytes], tmp_path: Path
) -> None:
    """The definitions are exactly ours, but the content of the pages is not."""
    page = f"(SELECT rootpage FROM sqlite_master WHERE name = '{names[0]}')"  # noqa: S608 - constants of this test
    swap = f"UPDATE sqlite_master SET rootpage = {page} WHERE name = '{names[1]}'"  # noqa: S608 - constants of this test
    database = changed(good, tmp_path, swap)
    assert "The backup's database is" in _restore(archive(good, database), tmp_path)


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)


@pytest.mark.parametrize("put", [_fifo, _endless, _huge])
def test_a_blob_without_end_does_not_hold_a_backup_up(
    put: Callable[[Path], None], tmp_path: Path
) -> None:
    """An attacker who controls the service waits for root to take a backup of its folder."""
    honest_members(tmp_path)
    system = System(tmp_path / "state")
    blob = min(system.settings.artefact_dir.glob("??/*"))
    blob.unlink()
    put(blob)
    done = system.run("backup", str(tmp_path / "next.tar"), timeout_s=60)
    assert done.returncode == 1, done.stderr
    assert f"the first is {blob.parent.name}{blob.name}" in done.stderr
