"""The targets of `safeurl backup` and the sources of `safeurl restore`: never the saved files."""

import os
from pathlib import Path

import pytest

from safeurl.adapters.files.artefacts import FileArtefacts
from safeurl.ports.store import Store
from tests.support.churner import churn_once
from tests.support.system import System


@pytest.fixture
def system(tmp_path: Path) -> System:
    """Return an installation with five scans, and its folder under two more names."""
    system = System(tmp_path / "state")

    async def fill(store: Store) -> None:
        await churn_once(store, FileArtefacts(system.settings.artefact_dir))

    system.with_store(fill)
    system.settings.valkey_dir.mkdir()
    (tmp_path / "link").symlink_to("state")
    (tmp_path / "blobs").symlink_to("state/artefacts")
    return system


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _refusal(system: System, target: Path) -> str:
    """Return why a backup to that file is refused; no file has changed."""
    folder = system.settings.state_dir.parent
    before = _files(folder)
    done = system.run("backup", str(target), "--force")
    assert (done.returncode, done.stdout) == (2, ""), done
    assert "Traceback" not in done.stderr
    assert _files(folder) == before
    return done.stderr


@pytest.mark.parametrize("way", ["state", "link", "state/artefacts/..", "blobs/.."])
@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-journal"])
def test_the_database_is_not_overwritten(
    system: System, tmp_path: Path, way: str, ending: str
) -> None:
    """Nor its companions, there or not: a tar file by that name would be read as one."""
    said = _refusal(system, tmp_path / way / f"safeurl.db{ending}")
    assert f"safeurl.db{ending} belongs to the database to be saved." in said
    assert "Choose another file." in said


def test_other_names_of_the_database_count(system: System, tmp_path: Path) -> None:
    """A hard link, a symbolic one, and the file that the database's name is a link to."""
    database = system.settings.database_path
    (tmp_path / "hard.tar").hardlink_to(database)
    assert "belongs to the database" in _refusal(system, tmp_path / "hard.tar")
    (tmp_path / "soft.tar").symlink_to(database)
    assert "belongs to the database" in _refusal(system, tmp_path / "soft.tar")
    (tmp_path / "hard.tar").unlink()
    database.rename(tmp_path / "moved.db")
    database.symlink_to(tmp_path / "moved.db")
    for name in ("moved.db", "moved.db-wal"):
        assert "belongs to the database" in _refusal(system, tmp_path / name)
    assert system.run("backup", str(tmp_path / "x.tar")).returncode == 0


@pytest.mark.parametrize(
    ("way", "owner"),
    [
        ("state/artefacts/x.tar", "artefacts"),
        ("state/artefacts/ab/x.tar", "artefacts"),
        ("blobs/ab/x.tar", "artefacts"),
        ("link/artefacts/x.tar", "artefacts"),
        ("state/valkey/x.tar", "valkey"),
        ("link/valkey/lock", "valkey"),
    ],
)
def test_folders_that_safeurl_fills_are_left_alone(
    system: System, tmp_path: Path, way: str, owner: str
) -> None:
    """Folders of blobs and of the embedded queue are refused by every path."""
    (system.settings.artefact_dir / "ab").mkdir(exist_ok=True)
    said = _refusal(system, tmp_path / way)
    assert f"is inside {system.settings.state_dir / owner}" in said
    assert "Choose a file elsewhere." in said


def test_a_blob_is_not_overwritten(system: System) -> None:
    """The backup would contain it."""
    blob = next(path for path in system.settings.artefact_dir.glob("*/*") if path.is_file())
    assert "is inside" in _refusal(system, blob)


def test_beside_the_database_there_is_room(system: System) -> None:
    """The state folder itself may contain backups; similar names are allowed."""
    for name in ("backup.tar", "safeurl.db.tar", "artefacts.tar"):
        assert system.run("backup", str(system.settings.state_dir / name)).returncode == 0


def test_a_dash_is_no_standard_output(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is neither written nor read; `./-` names a file of this name."""
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    for command in ("backup", "restore"):
        done = system.run(command, "-")
        assert (done.returncode, done.stdout) == (2, "")
        assert "FILE is the name of a file" in done.stderr
        assert "`./-`" in done.stderr
    assert sorted(tmp_path.iterdir()) == before
    assert system.run("backup", "./-").returncode == 0
    assert (tmp_path / "-").is_file()
    assert System(tmp_path / "fresh").run("restore", f".{os.sep}-").returncode == 0
