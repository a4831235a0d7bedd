"""The database with faults: nothing is acknowledged that is not on disk, and workers continue."""

import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from safeurl.defang import defang_text
from tests.support.installation import Installation, installation, running, serving, until
from tests.support.small_disk import SmallDisk
from tests.support.sqld import Sqld
from worker.identity import has_ended

_LOCKED_S = 20.0
_GIVES_UP_S = 40.0


def test_database_locked_20_s(tmp_path: Path) -> None:
    """Reads continue; a writer waits up to ten seconds, then gets an error; scans end."""
    with installation(tmp_path) as site:
        held = site.begin_held("/held")
        waiting = site.submit("/waiting")
        with _locked(site.system.settings.database_path) as unlock_at_s:
            early = _begin_submit(site, "/early")
            answer = site.post("/early")
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
            assert answer.json()["message"].endswith("safeurl.db is locked.")
            said = early.communicate(timeout=_GIVES_UP_S)[1]
            assert early.returncode == 75
            assert "safeurl.db is locked." in said
            assert site.health().code == 200
            assert len(site.api.get("/api/scans").json()["scans"]) == 2
            site.release()
            late = _begin_submit(site, "/late")
            time.sleep(max(0.0, unlock_at_s - time.monotonic()))
        ids = late.communicate(timeout=_GIVES_UP_S)[0].split()
        assert late.returncode == 0
        site.expect_completed([held, *waiting.ids, *ids])
        site.expect_health("healthy")
    assert "role.ended name=maintenance pid" not in site.worker.log.read_text()


def test_sqld_killed(tmp_path: Path) -> None:
    """Nothing is taken while it is away, and all that was taken ends once it is back."""
    (tmp_path / "sqld").mkdir()
    with Sqld(tmp_path / "sqld") as server:
        url = f"http://{server.authority}"
        with installation(tmp_path, {"TURSO_CONNECTION_URL": url, "LEASE_SECONDS": "3"}) as site:
            held = site.begin_held("/held")
            waiting = site.submit("/waiting")
            server.stop()
            early = _begin_submit(site, "/early")
            sentence = f"The database server cannot be reached ({url})."
            health = site.expect_health("unhealthy", sentence)
            assert health.code == 503
            site.release()
            answer = site.post("/early")
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
            assert answer.json()["message"] == sentence
            said = early.communicate(timeout=_GIVES_UP_S)[1]
            assert early.returncode == 75
            assert defang_text(sentence) in said
            server.start()
            scan, _ = site.expect_completed([held, *waiting.ids])
            assert scan.attempt > 1
            site.expect_health("healthy")
            assert len(site.api.get("/api/scans").json()["scans"]) == 2


def test_disk_full(tmp_path: Path) -> None:
    """Submits are refused with the reason; accepted scans end once there is space again."""
    with (
        SmallDisk(tmp_path, size_mb=8) as disk,
        installation(tmp_path, {"LEASE_SECONDS": "3"}) as site,
    ):
        held = site.begin_held("/held")
        waiting = site.submit("/waiting")
        disk.fill()
        told = site.submit("/full")
        assert told.code == 75
        assert "The disk that holds the database is full" in told.said
        answer = site.post("/full")
        assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
        assert answer.json()["message"].startswith("The disk that holds the database is full")
        site.release()
        assert site.expect_health("unhealthy", "has 0 MiB left.").code == 503
        until(lambda: has_ended(site.scan(held).lease_owner))
        disk.free()
        scan, _ = site.expect_completed([held, *waiting.ids])
        assert scan.attempt > 1
        until(lambda: _is_well_but_small(site))
        assert len(site.api.get("/api/scans").json()["scans"]) == 2


def test_disk_read_only(tmp_path: Path) -> None:
    """Nothing starts or is taken, each with a message; accepted scans run afterwards."""
    with SmallDisk(tmp_path, size_mb=8) as disk, installation(tmp_path, start=False) as site:
        taken = site.submit("/taken")
        assert taken.code == 0
        disk.make_read_only()
        told = site.submit("/read-only")
        assert told.code == 75
        assert "The database file cannot be opened" in told.said
        worker = site.system.run("worker", timeout_s=30)
        assert worker.returncode == 78
        assert f"{tmp_path} may not be written by this user." in worker.stderr
        with serving(site):
            health = site.expect_health("unhealthy", "The database file cannot be opened")
            assert health.code == 503
            assert site.post("/read-only").status_code == 503
            disk.make_writable()
            site.expect_health("unhealthy", "No worker is running, and 1 scan waits.")
        with running(site):
            site.expect_completed(taken.ids)
            until(lambda: _is_well_but_small(site))


def _begin_submit(site: Installation, path: str) -> subprocess.Popen[str]:
    return site.system.command(site.pages.url(path), program="submit-scan")


def _is_well_but_small(site: Installation) -> bool:
    """Return whether all that is wrong is the size of the disk of a test."""
    [*others, last] = site.health().issues
    return not others and last.startswith("The disk of the state folder on ")


@contextmanager
def _locked(database: Path) -> Iterator[float]:
    """Hold the database's write lock until a time of the monotonic clock, which is yielded."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield time.monotonic() + _LOCKED_S
