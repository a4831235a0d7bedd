"""`safeurl backup` and `safeurl restore` by root, in a folder of the service's user.

Only root can stop the units, so root also restores.
"""

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from safeurl.adapters.backup import BackupTaker, Location
from safeurl.adapters.files.artefacts import FileArtefacts
from safeurl.errors import RequestError, StoreUnavailableError
from safeurl.model.scan import Scan
from safeurl.ports.store import Store
from tests.support.churner import churn_once
from tests.support.system import System
from tests.support.user import (
    SERVICE,
    SERVICE_GROUP,
    STRANGER,
    acting_as,
    needs_root,
    open_folder,
)

pytestmark = needs_root

_NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a backup of five scans that only root can reach."""
    system, path = System(tmp_path / "other"), tmp_path / "backup.tar"

    async def fill(store: Store) -> None:
        await churn_once(store, FileArtefacts(system.settings.artefact_dir))

    system.with_store(fill)
    assert system.run("backup", str(path)).returncode == 0
    return path


@pytest.fixture
def system() -> Iterator[System]:
    """Return an installation that has an empty folder, which is the service's."""
    with open_folder() as above:
        system = System(above / "state")
        system.settings.state_dir.mkdir(mode=0o700)
        os.chown(system.settings.state_dir, SERVICE, SERVICE_GROUP)
        yield system


def _of_others(folder: Path) -> list[Path]:
    """Return the files that do not belong to the service."""
    owners = {path: path.lstat() for path in (folder, *folder.rglob("*"))}
    return [
        path
        for path, found in owners.items()
        if (found.st_uid, found.st_gid) != (SERVICE, SERVICE_GROUP)
    ]


def _place(system: System) -> Location:
    settings = system.settings
    return Location(
        folder=settings.state_dir,
        database=settings.database_path,
        artefacts=settings.artefact_dir,
        valkey_lock=settings.valkey_dir / "lock",
    )


async def _newest(store: Store) -> list[Scan]:
    return await store.page(limit=10)


def test_what_root_restores_is_the_services(system: System, file: Path) -> None:
    """Database, blobs, their folders and the queue's lock; the service opens them, old and new."""
    for force in ([], ["--force"]):
        done = system.run("restore", str(file), *force)
        assert done.returncode == 0, done.stderr
        assert _of_others(system.settings.state_dir) == []
    with acting_as(SERVICE):
        assert len(system.with_store(_newest)) == 5
    assert len(list(system.settings.artefact_dir.glob("??/*"))) == 2
    assert len(list(system.settings.state_dir.glob("*.before-restore-*"))) == 1


@pytest.mark.parametrize("name", ["safeurl.db", "artefacts", "valkey"])
def test_what_root_left_there_before_is_named(system: System, file: Path, name: str) -> None:
    """The service could not open it, so nothing is restored until it is given back."""
    left = system.settings.state_dir / name
    left.touch(mode=0o600) if name.endswith(".db") else left.mkdir(mode=0o700)
    done = system.run("restore", str(file), "--force")
    assert done.returncode == 2
    assert f"{left}" in done.stderr
    assert f"`chown -R {SERVICE}:{SERVICE_GROUP} {system.settings.state_dir}`" in done.stderr
    assert _of_others(system.settings.state_dir) == [left]
    os.chown(left, SERVICE, SERVICE_GROUP)
    assert system.run("restore", str(file), "--force").returncode == 0


def test_a_restored_database_is_the_groups_where_the_folder_is(system: System, file: Path) -> None:
    """API and worker share it as they shared the one before."""
    system.settings.state_dir.chmod(0o3770)
    assert system.run("restore", str(file)).returncode == 0
    found = system.settings.database_path.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, SERVICE_GROUP)


def test_a_root_that_owns_the_folder_stays_root(file: Path, tmp_path: Path) -> None:
    """A folder of root's own is filled as before."""
    system = System(tmp_path / "state")
    assert system.run("restore", str(file)).returncode == 0
    assert {path.stat().st_uid for path in system.settings.state_dir.rglob("*")} == {0}


def test_a_backup_by_root_locks_nobody_out(system: System, file: Path, tmp_path: Path) -> None:
    """SQLite makes its companions while root reads, and gives them to the database's owner."""
    state_dir = system.settings.state_dir
    assert system.run("restore", str(file)).returncode == 0
    with acting_as(SERVICE):
        system.with_store(_newest)  # from here on the database has a WAL
    seen: set[str] = set()

    def look(_what: str, _done: int, _total: int) -> None:
        seen.update(path.name for path in state_dir.iterdir())
        assert _of_others(state_dir) == []

    taker = BackupTaker(_place(system), at=_NOW, version="1", progress=look)
    taker.take(tmp_path / "again.tar", replace=False)
    assert {"safeurl.db-wal", "safeurl.db-shm"} <= seen
    assert _of_others(state_dir) == []


def test_who_may_not_read_the_database_is_told_whose_it_is(
    system: System, file: Path, tmp_path: Path
) -> None:
    """It is reported neither as our own defect nor as a damaged database."""
    settings = system.settings
    assert system.run("restore", str(file)).returncode == 0
    said = f"belongs to user {SERVICE}, and this is user {STRANGER}. Run this as user {SERVICE}"
    taker = BackupTaker(_place(system), at=_NOW, version="1", progress=lambda *_: None)
    for mode in (0o700, 0o755):
        settings.state_dir.chmod(mode)
        with open_folder() as folder:
            os.chown(folder, STRANGER, STRANGER)
            with acting_as(STRANGER), pytest.raises(StoreUnavailableError, match=said):
                taker.take(folder / "x.tar", replace=False)
            assert list(folder.iterdir()) == []
    with acting_as(STRANGER), pytest.raises(RequestError, match="may not be written"):
        taker.take(tmp_path / "x" / "x.tar", replace=False)
