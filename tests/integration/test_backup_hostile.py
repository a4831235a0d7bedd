"""Backups by an attacker who knows our code are refused with the reason, within limits."""

import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

from safeurl.adapters.backup import Location, Restorer
from safeurl.adapters.backup.limits import Limits
from safeurl.errors import RequestError
from tests.support.builders import NOW
from tests.support.hostile_backup import archive, changed, honest_members
from tests.support.schema_changes import CHANGES, GARBAGE, RAW_CHANGES, demand_memory
from tests.support.system import System

#: Some of these never end where a database is opened before its schema was compared.
pytestmark = pytest.mark.timeout(120)

_WAIT_S = 60.0


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the members of a valid backup of five scans."""
    return honest_members(tmp_path_factory.mktemp("good"))


def _place(folder: Path) -> Location:
    return Location(
        folder=folder,
        database=folder / "safeurl.db",
        artefacts=folder / "artefacts",
        valkey_lock=folder / "valkey" / "lock",
    )


def _quiet(_what: str, _done: int, _total: int) -> None:
    """Do nothing."""


def _refused(data: bytes, folder: Path, limits: Limits | None = None) -> str:
    """Return the reason; the old database is unchanged, and no other file is left."""
    state = folder / "state"
    state.mkdir()
    (state / "safeurl.db").write_bytes(b"the old one")
    file = folder / "hostile.tar"
    file.write_bytes(data)
    restorer = Restorer(_place(state), at=NOW, progress=_quiet, limits=limits)
    with pytest.raises(RequestError) as caught:
        restorer.restore(file, replace=True)
    _assert_untouched(state)
    return str(caught.value)


def _assert_untouched(state: Path) -> None:
    left = sorted(str(path.relative_to(state)) for path in state.rglob("*"))
    assert left == ["artefacts", "safeurl.db", "valkey", "valkey/lock"]
    assert (state / "safeurl.db").read_bytes() == b"the old one"
    assert _examinations() == []


def _examinations() -> list[psutil.Process]:
    """Return the processes that examine a database for this one."""
    return psutil.Process().children(recursive=True)


@pytest.mark.parametrize("change", [*CHANGES, *RAW_CHANGES])
def test_a_changed_schema_is_refused(change: str, good: dict[str, bytes], tmp_path: Path) -> None:
    """The changed object is named; none of its code runs."""
    statements, words = {**CHANGES, **RAW_CHANGES}[change]
    said = _refused(archive(good, changed(good, tmp_path, *statements)), tmp_path)
    assert words in said
    assert "is not SafeURL's" in said


@pytest.mark.parametrize("change", GARBAGE)
def test_a_schema_that_sqlite_refuses_is_refused(
    change: str, good: dict[str, bytes], tmp_path: Path
) -> None:
    """As damage."""
    data = archive(good, changed(good, tmp_path, *GARBAGE[change]))
    assert "is damaged: malformed database schema" in _refused(data, tmp_path)


def test_a_schema_that_demands_all_memory_is_refused(
    good: dict[str, bytes], tmp_path: Path
) -> None:
    """As one that could not be checked."""
    data = archive(good, demand_memory(tmp_path / "changed.db"))
    assert "a length in the file is damaged" in _refused(data, tmp_path)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE scan_evidence SET document = '{'", "break the rule scan_evidence_document_json"),
        ("UPDATE artefacts SET size_bytes = -1", "break the rule artefacts_size_counts"),
        ("DELETE FROM scan_jobs WHERE state = 'COMPLETED'", "refers to no row of scan_jobs"),
        ("UPDATE scan_results SET verdict = 'fine'", "break the rule scan_results_verdict_known"),
        ("PRAGMA user_version = 7", "Its user_version is 7."),
        ("PRAGMA application_id = 252006674", "Its application_id is 252006674."),
        ("DELETE FROM schema_migrations", "is not SafeURL's"),
        (
            "INSERT INTO schema_migrations VALUES (0, '', '2026-01-02T03:04:05.000000Z')",
            "that of no version of SafeURL",
        ),
    ],
)
def test_rows_and_numbers_that_are_not_ours_are_refused(
    statement: str, words: str, good: dict[str, bytes], tmp_path: Path
) -> None:
    """Rows that violate a CHECK, and the numbers that SQLite stores in its header."""
    assert words in _refused(archive(good, changed(good, tmp_path, statement)), tmp_path)


def _patched(offset: int, data: bytes) -> Callable[[bytes], bytes]:
    return lambda database: database[:offset] + data + database[offset + len(data) :]


@pytest.mark.parametrize(
    "damage",
    [
        # Offsets as in SQLite's file format, "The Database Header".
        pytest.param(_patched(36, (2**31).to_bytes(4, "big")), id="a free list without end"),
        pytest.param(_patched(32, (3).to_bytes(4, "big")), id="a free list in a table"),
        pytest.param(_patched(16, (512).to_bytes(2, "big")), id="another page size"),
        pytest.param(_patched(18, b"\x09\x09"), id="a format of the future"),
        pytest.param(_patched(56, (2).to_bytes(4, "big")), id="another encoding"),
        pytest.param(_patched(100, b"\x0a"), id="a first page of another kind"),
        pytest.param(lambda database: database[:-4096], id="a page too few"),
        pytest.param(lambda database: database[:50], id="half a header"),
        pytest.param(lambda _: b"", id="nothing"),
        pytest.param(lambda _: bytes(1_000_000), id="zeros"),
    ],
)
def test_damaged_files_are_refused(
    damage: Callable[[bytes], bytes], good: dict[str, bytes], tmp_path: Path
) -> None:
    """They are refused with any header."""
    honest = changed(good, tmp_path)
    assert "The backup's database" in _refused(archive(good, damage(honest)), tmp_path)


def test_a_wal_does_not_come_along(good: dict[str, bytes], tmp_path: Path) -> None:
    """It is accepted neither as a member nor because a database claims to have one."""
    members = {**good, "safeurl.db-wal": b"x" * 5000}
    assert "the database does not name" in _refused(archive(members, good["safeurl.db"]), tmp_path)


_TIGHT = {
    "steps": (Limits(base_steps=0, steps_per_byte=0), "exceeds the limits of the check"),
    "time": (Limits(base_s=0.0, bytes_per_s=2**40), "was not checked within 0 seconds"),
    "memory": (Limits(memory_bytes=1024**2), "The backup's database"),
    "a value's size": (Limits(max_value_bytes=30), "exceeds the limits of the check"),
}


@pytest.mark.parametrize("limit", _TIGHT)
def test_each_limit_ends_the_examination(
    limit: str, good: dict[str, bytes], tmp_path: Path
) -> None:
    """A valid database with too small limits shows that each limit is effective."""
    limits, words = _TIGHT[limit]
    assert words in _refused(archive(good, _rows_enough(good, tmp_path)), tmp_path, limits)


def _rows_enough(good: dict[str, bytes], folder: Path) -> bytes:
    """Return the database with enough rows for a look at the number of steps."""
    begin = "INSERT INTO leader_terms VALUES ({}, 'a', '{}', '{}')"
    at = "2026-01-02T03:04:05.000000Z"
    rows = [begin.format(term, at, at) for term in range(1, 2001)]
    return changed(good, folder, "BEGIN", *rows, "COMMIT")


@pytest.fixture
def stuck(good: dict[str, bytes], tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Return `safeurl restore` and its examination, which is stopped in the middle."""
    file, state = tmp_path / "backup.tar", tmp_path / "state"
    file.write_bytes(archive(good, good["safeurl.db"]))
    state.mkdir()
    (state / "safeurl.db").write_bytes(b"the old one")
    system = System(state)
    (tmp_path / "sitecustomize.py").write_text(_STOP_BY_ITSELF)
    system.environ["PYTHONPATH"] = str(tmp_path)
    with system.command("restore", str(file), "--force") as process:
        examination = _stopped(psutil.Process(process.pid))
        try:
            yield process, examination
        finally:
            for pid in (process.pid, examination):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


#: What Python imports by itself at its start, and only the examination stops at.
_STOP_BY_ITSELF = """
import os, signal, sys
if "safeurl.adapters.backup.validation_process" in sys.orig_argv:
    os.kill(os.getpid(), signal.SIGSTOP)
"""


def _stopped(parent: psutil.Process) -> int:
    """Wait until the examination has stopped itself and its order waits; return its id."""
    deadline = time.monotonic() + _WAIT_S
    while not any(map(_has_an_order, parent.children())):
        assert parent.is_running()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return next(child.pid for child in parent.children() if _has_an_order(child))


def _has_an_order(process: psutil.Process) -> bool:
    """Return whether the process is stopped and there is something on its standard input."""
    if process.status() != psutil.STATUS_STOPPED:
        return False
    with Path(f"/proc/{process.pid}/fd/0").open("rb", buffering=0) as stdin:
        waiting = fcntl.ioctl(stdin, termios.FIONREAD, bytes(4))
    return int.from_bytes(waiting, sys.byteorder) > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_restore_that_is_stopped_cleans_up(
    number: signal.Signals, stuck: tuple[subprocess.Popen[str], int], tmp_path: Path
) -> None:
    """Ctrl-C, SIGTERM and a closed terminal, while the database is examined."""
    process, examination = stuck
    process.send_signal(number)
    _, words = process.communicate(timeout=_WAIT_S)
    assert process.returncode == 128 + number
    assert "Traceback" not in words
    _assert_untouched(tmp_path / "state")
    assert not psutil.pid_exists(examination)


def test_an_examination_that_is_killed_ends_the_restore(
    stuck: tuple[subprocess.Popen[str], int], tmp_path: Path
) -> None:
    """With exit code 2 and a sentence."""
    process, examination = stuck
    os.kill(examination, signal.SIGKILL)
    _, words = process.communicate(timeout=_WAIT_S)
    assert process.returncode == 2
    assert "could not be checked" in words
    _assert_untouched(tmp_path / "state")


def test_a_restore_that_is_killed_leaves_nothing_to_the_next(
    stuck: tuple[subprocess.Popen[str], int], tmp_path: Path
) -> None:
    """Its validation ends with it, and the next restore removes its files."""
    process, examination = stuck
    child = psutil.Process(examination)
    process.kill()
    process.wait()
    child.resume()
    child.wait(timeout=_WAIT_S)
    assert list((tmp_path / "state").glob(".restore-*"))
    done = System(tmp_path / "state").run(
        "restore", str(tmp_path / "backup.tar"), "--force", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["scans"] == 5
    assert list((tmp_path / "state").glob("**/.restore-*")) == []
    with closing(sqlite3.connect(tmp_path / "state" / "safeurl.db")) as database:
        assert database.execute("SELECT count(*) FROM scan_jobs").fetchone() == (5,)
