"""`safeurl restore` against a SafeURL that runs, and against one that starts meanwhile."""

import os
import sqlite3
from contextlib import AbstractContextManager, closing
from pathlib import Path

import pytest

from safeurl.adapters.backup import Location, Restorer
from safeurl.errors import UnavailableError
from tests.support.builders import NOW, make_scan
from tests.support.installation import Installation, installation, running, serving
from tests.support.system import System
from tests.support.tcp_valkey import TcpValkey


def _backup(site: Installation, folder: Path) -> Path:
    """Return a backup that lacks the newest scan."""
    with running(site):
        site.expect_completed(site.submit("/saved").ids)
        file = folder / "backup.tar"
        done = site.system.run("backup", str(file))
        assert done.returncode == 0, done.stderr
        site.expect_completed(site.submit("/later").ids)
    return file


def _expect_refused(site: Installation, file: Path, part: AbstractContextManager[object]) -> None:
    """Restore while that part runs: refused in one sentence, and everything is as it was."""
    database = site.system.settings.database_path
    with part:
        before = database.stat().st_ino, _names(database.parent), _scans(site.system)
        assert len(before[2]) == 2
        done = site.system.run("restore", str(file), "--force")
        after = database.stat().st_ino, _names(database.parent), _scans(site.system)
    assert (done.returncode, done.stdout) == (75, "")
    assert f"A running SafeURL uses {database.parent}. Stop it first" in done.stderr
    assert "Traceback" not in done.stderr
    assert after == before


def _names(folder: Path) -> list[str]:
    """Return the names that a restore would leave; the record of a running process is not one."""
    return sorted(
        name
        for path in folder.rglob("*")
        if "restore-" in (name := path.relative_to(folder).as_posix())
        or name.startswith("artefacts/")
    )


def _scans(system: System) -> list[str]:
    with closing(sqlite3.connect(f"file:{system.settings.database_path}?mode=ro", uri=True)) as db:
        return [scan for (scan,) in db.execute("SELECT id FROM scan_jobs ORDER BY id")]


def _expect_restored(site: Installation, file: Path) -> None:
    done = site.system.run("restore", str(file), "--force")
    assert done.returncode == 0, done.stderr
    assert len(_scans(site.system)) == 1


def test_nothing_is_restored_under_embedded_parts(tmp_path: Path) -> None:
    """Worker and API with the embedded queue: refused; once they are stopped, it is restored."""
    with installation(tmp_path / "state", start=False) as site:
        file = _backup(site, tmp_path)
        _expect_refused(site, file, running(site))
        _expect_restored(site, file)


def test_nothing_is_restored_under_parts_with_a_queue_elsewhere(tmp_path: Path) -> None:
    """With REDIS_HOST only the database shows it: a worker or an API alone is enough."""
    with (
        TcpValkey(tmp_path) as valkey,
        installation(tmp_path / "state", valkey.settings, start=False) as site,
    ):
        file = _backup(site, tmp_path)
        _expect_refused(site, file, site.worker)
        _expect_refused(site, file, serving(site))
        _expect_refused(site, file, running(site))
        _expect_restored(site, file)


def test_who_overtakes_a_restore_is_told_of_and_the_old_database_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is created just after the old one was renamed stays; the old one is named."""
    system, file = System(tmp_path / "state"), tmp_path / "backup.tar"
    database = system.settings.database_path
    old, link = make_scan(), os.link
    system.with_store(lambda store: store.add([old]))
    assert system.run("backup", str(file)).returncode == 0

    def come_first(source: Path, target: Path) -> None:
        target.write_bytes(b"somebody else's")
        link(source, target)

    monkeypatch.setattr(os, "link", come_first)
    place = Location(
        folder=database.parent,
        database=database,
        artefacts=system.settings.artefact_dir,
        valkey_lock=system.settings.valkey_dir / "lock",
    )
    with pytest.raises(UnavailableError, match="Stop it first") as refused:
        Restorer(place, at=NOW, progress=lambda *_: None).restore(file, replace=True)
    [kept] = database.parent.glob("*.before-restore-*")
    assert str(kept) in str(refused.value)
    assert database.read_bytes() == b"somebody else's"
    kept.replace(database)
    assert system.with_store(lambda store: store.get(old.id)) == old
