"""A state folder that others may enter: its files stay their owner's, also those of before."""

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from safeurl.bootstrap import prepare, private_paths
from safeurl.cli.entry import log_to
from tests.support.system import RunningWorker, System
from worker.doctor.checks.services import state_folder
from worker.doctor.finding import Status


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Return a folder as a person makes it, while new files are readable by everybody."""
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o755)
    before = os.umask(0o022)
    yield state
    os.umask(before)


def _exposed(folder: Path) -> list[str]:
    """Return the files that others could read, and the folders that they could enter to do so."""
    found = []
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        inside = [above for above in path.parents if above.is_relative_to(folder)]
        hidden = any(not above.stat().st_mode & 0o011 for above in inside)
        if stat.S_ISREG(mode) and mode & 0o077 and not hidden:
            found.append(f"{path.relative_to(folder)} {stat.S_IMODE(mode):o}")
    return found


@pytest.mark.parametrize("mode", [None, 0o644, 0o666])
def test_the_workers_log_is_private(folder: Path, mode: int | None) -> None:
    """A new one, and one that an older version has left open."""
    settings = System(folder).settings
    if mode is not None:
        settings.worker_log.write_text("old\n")
        settings.worker_log.chmod(mode)
        assert _exposed(folder)
    handlers = list(logging.getLogger().handlers)
    try:
        log_to(settings, settings.worker_log)
        logging.getLogger("test").warning("new")
        assert "new" in settings.worker_log.read_text()
        assert stat.S_IMODE(settings.worker_log.stat().st_mode) == 0o600
    finally:
        logging.basicConfig(handlers=handlers, force=True)


def test_all_that_commands_and_worker_make_is_private(folder: Path) -> None:
    """The database, its log, the embedded Valkey's files: all files in the folder."""
    system = System(folder, DOCKER_SOCKET_PATH=str(folder / "no.sock"))
    done = system.run("https://example.com/", program="submit-scan")
    assert done.returncode == 0, done.stderr
    with RunningWorker(system) as run:
        run.log.chmod(0o600)  # the test's own
        assert _exposed(folder) == []
        assert (folder / "valkey/valkey.log").exists()


def test_what_was_left_open_is_closed(folder: Path) -> None:
    """A worker does so at its start; only the owner can close the folder, and doctor reports it."""
    settings = System(folder).settings
    for path in (settings.artefact_dir, settings.valkey_dir):
        path.mkdir()
        (path / "old").write_text("x")
    for path in private_paths(settings):
        if not path.is_dir():
            path.write_text("")
    settings.database_path.unlink()
    assert _exposed(folder)
    prepare(settings)
    assert _exposed(folder) == []
    finding = state_folder(settings)
    assert (finding.status, str(folder) in finding.advice) == (Status.WARN, True)
    folder.chmod(0o700)
    assert state_folder(settings).status is Status.PASS
