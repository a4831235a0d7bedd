"""A full disk: it is called full, stored data can be read, and little is logged about it."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.small_disk import SmallDisk
from tests.support.system import System
from tests.support.user import needs_root

_URL = "https://example.com/"
_TIMEOUT_S = 60.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Mount a disk of a few MiB at the state folder."""
    folder = tmp_path / "state"
    folder.mkdir()
    with SmallDisk(folder, size_mb=6) as disk:
        yield disk


def _system(disk: SmallDisk) -> System:
    system = System(disk.folder, DOCKER_SOCKET_PATH="/nowhere/docker.sock", API_PORT="0")
    done = system.run(_URL, program="submit-scan")
    assert done.returncode == 0, done.stderr
    return system


def _expect_full(system: System) -> None:
    done = system.run(_URL, program="submit-scan")
    assert done.returncode == 75
    assert "The disk that holds the database is full: " in done.stderr


def _leave_a_log(path: Path) -> None:
    """Leave a log as a killed process does, which is not yet in the database."""
    code = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('PRAGMA journal_mode=WAL'); "
        "c.execute('CREATE TABLE IF NOT EXISTS more (x)'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
    assert Path(f"{path}-wal").stat().st_size > 0


@needs_root
@pytest.mark.parametrize(("leaving", "killed"), [(0, False), (4096, False), (16384, True)])
def test_a_full_disk_is_called_full_and_is_read(
    disk: SmallDisk, leaving: int, *, killed: bool
) -> None:
    """No process runs, so SQLite must create its files: with no space, or too little."""
    system = _system(disk)
    before = system.run("list", "--json").stdout
    if killed:
        _leave_a_log(system.settings.database_path)
        Path(f"{system.settings.database_path}-shm").unlink()
    disk.fill(leaving=leaving)
    for _ in range(2):
        listed = system.run("list", "--json")
        assert (listed.returncode, listed.stdout, listed.stderr) == (0, before, "")
    status = system.run("status").stdout
    assert "issue: The disk of the state folder on " in status
    assert "fails" not in status
    _expect_full(system)
    disk.free()
    assert system.run(_URL, program="submit-scan").returncode == 0
    with closing(sqlite3.connect(system.settings.database_path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@needs_root
def test_a_full_disk_under_a_running_system_is_told_now_and_then(
    disk: SmallDisk, tmp_path: Path
) -> None:
    """A periodic task that fails is logged once and then ever less often; lists answer."""
    system = _system(disk)
    log = tmp_path / "up.log"
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [sys.executable, "-m", "safeurl.cli", "up"], env=system.environ, stdout=out, stderr=out
        ) as up,
    ):
        _until(lambda: "election.won" in log.read_text())
        disk.fill()
        _expect_full(system)
        assert system.run("list").returncode == 0
        words = "steward.unavailable error=The disk that holds the database is full"
        _until(lambda: words in log.read_text())
        assert log.read_text().count(words) <= 3  # however many tasks fail
        disk.free()
        up.terminate()
        assert up.wait(timeout=_TIMEOUT_S) == 0


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)
