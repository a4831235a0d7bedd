"""`safeurl backup` and `safeurl restore` as commands: under load, and their refusals."""

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from safeurl.adapters.files.artefacts import FileArtefacts, blob_path
from safeurl.model.audit import path_faults
from safeurl.model.scan import Scan
from safeurl.ports.store import Store
from safeurl.state import Outcome, State, is_final
from tests.support.builders import LEASE, NOW, WORKER, claimed, make_scan
from tests.support.churner import churn_once
from tests.support.system import System

_ENOUGH = 300
_CHURNERS = 2
_WAIT_S = 120.0


class _Load:
    """Processes that submit and run scans, and the scans that were accepted."""

    def __init__(self, state_dir: Path) -> None:
        """Start nothing yet."""
        self.accepted: list[str] = []
        self._state_dir = state_dir
        self._processes: list[subprocess.Popen[str]] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run them; kill them at the end, in the middle of whatever they do."""
        command = [sys.executable, "-m", "tests.support.churner", str(self._state_dir)]
        with ExitStack() as stack:
            for _ in range(_CHURNERS):
                process = stack.enter_context(
                    subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
                )
                stack.callback(process.kill)
                self._processes.append(process)
                threading.Thread(target=self._listen, args=[process], daemon=True).start()
            yield

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.accepted.extend(line.strip() for line in process.stdout)

    def wait_for(self, count: int) -> None:
        """Return once so many scans were accepted."""
        deadline = time.monotonic() + _WAIT_S
        while len(self.accepted) < count:
            assert all(process.poll() is None for process in self._processes), "one has died"
            assert time.monotonic() < deadline, f"only {len(self.accepted)} scans were accepted"
            time.sleep(0.05)


async def _everything(store: Store) -> list[Scan]:
    scans: list[Scan] = []
    while page := await store.page(limit=100, before=scans[-1].id if scans else None):
        scans += page
    return scans


async def _check(store: Store, artefacts: FileArtefacts) -> list[Scan]:
    """Return every scan; each has a legal trail, a result if it is final, and its blobs."""
    scans = await _everything(store)
    for scan in scans:
        trail = await store.audit(scan.id)
        assert path_faults(trail) == []
        assert trail[-1].to_state is scan.state
        assert (await store.result(scan.id) is not None) == is_final(scan.state)
        stored = await store.artefacts(scan.id)
        assert stored or not is_final(scan.state)
        # Stored with the move to ANALYZING, so the copy may have caught them before the end.
        assert not stored or scan.state in {State.ANALYZING, State.COMPLETED}
        for artefact in stored:
            assert len(await artefacts.get(artefact.sha256) or b"") == artefact.size_bytes
    return scans


async def _go_on(store: Store, scans: list[Scan]) -> None:
    """Run queued scans and take back leased ones, as workers do."""
    states = {state: [scan for scan in scans if scan.state is state] for state in State}
    await claimed(store, states[State.QUEUED][0])
    late = NOW + LEASE + timedelta(seconds=1)
    for scan in (states[State.FETCHING][0], states[State.ANALYZING][0]):
        again = await store.requeue(
            scan, outcome=Outcome.LEASE_LOST, detail=None, run_after=late, now=late, actor=WORKER
        )
        assert again is not None
        await claimed(store, again, late)
    await store.add([make_scan()])


def test_a_backup_under_load_is_whole(tmp_path: Path) -> None:
    """It is taken while others write without a pause, contains all accepted scans, and works."""
    busy, fresh = System(tmp_path / "busy"), System(tmp_path / "fresh")
    load, file = _Load(busy.settings.state_dir), tmp_path / "backup.tar"
    with load.running():
        load.wait_for(_ENOUGH)
        before = list(load.accepted)
        taken = busy.run("backup", str(file), "--json")
        assert taken.returncode == 0, taken.stderr
        load.wait_for(len(load.accepted) + 10)  # the load never stopped
        assert len(before) < len(load.accepted)
    told = json.loads(taken.stdout)
    restored = fresh.run("restore", str(file), "--json")
    assert restored.returncode == 0, restored.stderr

    async def check(store: Store) -> None:
        scans = await _check(store, FileArtefacts(fresh.settings.artefact_dir))
        assert {scan.id for scan in scans} >= set(before)
        assert len(scans) == told["scans"] == json.loads(restored.stdout)["scans"]
        assert told["missing_artefacts"] == []
        await _go_on(store, scans)

    fresh.with_store(check)


@pytest.fixture
def system(tmp_path: Path) -> System:
    """Return an installation with five scans."""
    system = System(tmp_path / "state")

    async def fill(store: Store) -> None:
        await churn_once(store, FileArtefacts(system.settings.artefact_dir))

    system.with_store(fill)
    return system


@pytest.fixture
def file(system: System, tmp_path: Path) -> Path:
    """Return a backup of that installation."""
    path = tmp_path / "backup.tar"
    assert system.run("backup", str(path)).returncode == 0
    return path


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _refusal(system: System, *arguments: str) -> tuple[int, str]:
    done = system.run(*arguments)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def test_both_say_what_they_did(system: System, file: Path, tmp_path: Path) -> None:
    """Plain lines in a pipe; the file is only for its owner; the output names the next steps."""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert _names(tmp_path) == ["backup.tar", "state"]
    again = system.run("backup", str(file), "--force")
    assert "scans: 5\nqueued: 1\nin progress: 2\nartefacts: 2\nmissing artefacts: 0\n" in (
        again.stdout
    )
    fresh = System(tmp_path / "fresh")
    done = fresh.run("restore", str(file))
    assert done.returncode == 0, done.stderr
    assert "scans: 5\n" in done.stdout
    assert "1 queued scan runs as soon as a worker is started." in done.stdout
    assert "2 scans were in progress" in done.stdout
    assert done.stderr == again.stderr == ""
    folder = fresh.settings.state_dir
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(fresh.settings.database_path.stat().st_mode) == 0o600
    assert _names(folder) == ["artefacts", "safeurl.db", "valkey"]


def test_any_tar_unpacks_it(file: Path, tmp_path: Path) -> None:
    """A user without SafeURL can still read the database and the blobs."""
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["tar", "-xf", str(file), "-C", str(out)], check=True, capture_output=True)  # noqa: S607 - the system's own tar
    names = _names(out)
    assert names == ["artefacts", "manifest.json", "safeurl.db", "seal.json"]


def test_a_file_that_is_there_is_kept(system: System, file: Path) -> None:
    """Without --force the backup is refused and the file stays unchanged."""
    file.write_bytes(b"precious")
    code, words = _refusal(system, "backup", str(file))
    assert (code, file.read_bytes()) == (2, b"precious")
    assert "exists already" in words
    assert "--force" in words


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_backup_replaces_no_device_or_folder(
    system: System, tmp_path: Path, force: list[str]
) -> None:
    """Not even with --force."""
    for target in ("/dev/null", str(tmp_path)):
        code, words = _refusal(system, "backup", target, *force)
        assert code == 2
        assert "not a plain file" in words


def test_a_backup_needs_a_database_and_a_folder(system: System, tmp_path: Path) -> None:
    """A missing database, a missing folder and one that may not be written are named."""
    empty = System(tmp_path / "empty")
    code, words = _refusal(empty, "backup", str(tmp_path / "x.tar"))
    assert code == 2
    assert "no database at" in words
    code, words = _refusal(system, "backup", str(tmp_path / "nowhere" / "x.tar"))
    assert code == 2
    assert "does not exist" in words
    code, words = _refusal(system, "backup", "/sys/x.tar")  # not even root may
    assert code == 2
    assert "/sys may not be written" in words
    assert _names(tmp_path) == ["state"]


def test_a_full_disk_leaves_nothing_behind(system: System, tmp_path: Path) -> None:
    """If the disk is full, an older backup with the same name is still complete."""
    file = tmp_path / "backup.tar"
    assert system.run("backup", str(file)).returncode == 0
    whole = file.read_bytes()
    size = system.settings.database_path.stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (size // 2, size + 4096):  # in the copy of the database, then in the archive
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
        try:
            code, words = _refusal(system, "backup", str(file), "--force")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert code == 75
        assert "full" in words
        assert _names(tmp_path) == ["backup.tar", "state"]
        assert file.read_bytes() == whole


def test_lost_artefacts_do_not_keep_the_rest_from_being_saved(
    system: System, tmp_path: Path
) -> None:
    """One is missing and one damaged: both are named, the exit code shows it, restoring works."""
    root, file = system.settings.artefact_dir, tmp_path / "x.tar"
    gone, damaged = sorted(path for path in root.glob("*/*") if path.is_file())
    gone.unlink()
    damaged.write_bytes(b"no more what it was")
    done = system.run("backup", str(file), "--json")
    assert done.returncode == 1
    assert "2 artefacts are missing or damaged" in done.stderr
    missing = json.loads(done.stdout)["missing_artefacts"]
    assert [blob_path(root, sha256) for sha256 in missing] == [gone, damaged]
    restored = System(tmp_path / "fresh").run("restore", str(file), "--json")
    assert json.loads(restored.stdout)["missing_artefacts"] == 2


@pytest.mark.parametrize("torn", [slice(4096 * 3, 4096 * 20), slice(-8192, -4096), slice(0, 50)])
def test_a_damaged_database_is_not_backed_up(system: System, tmp_path: Path, torn: slice) -> None:
    """A copy that could not be restored is not written, wherever the damage is."""
    path = system.settings.database_path
    data = bytearray(path.read_bytes())
    data[torn] = bytes(len(data[torn]))
    path.write_bytes(data)
    code, words = _refusal(system, "backup", str(tmp_path / "x.tar"))
    assert code == 75
    assert "cannot be saved" in words
    assert "Keep the older ones" in words
    assert _names(tmp_path) == ["state"]


def test_a_remote_database_is_left_to_its_own_tools(system: System, file: Path) -> None:
    """With TURSO_CONNECTION_URL both commands refuse, and name the right tool."""
    system.environ["TURSO_CONNECTION_URL"] = "http://127.0.0.1:9"
    code, words = _refusal(system, "backup", str(file), "--force")
    assert code == 2
    assert "turso db export" in words
    assert str(system.settings.artefact_dir) in words
    code, words = _refusal(system, "restore", str(file), "--force")
    assert code == 2
    assert "leave TURSO_CONNECTION_URL empty" in words


def test_a_database_that_is_there_is_put_aside(system: System, file: Path) -> None:
    """Refused without --force; with it the old database, WAL included, is kept and can be read."""
    later = make_scan()
    system.with_store(lambda store: store.add([later]))
    code, words = _refusal(system, "restore", str(file))
    assert code == 2
    assert "There is a database already" in words
    done = system.run("restore", str(file), "--force", "--json")
    assert done.returncode == 0, done.stderr
    kept = Path(json.loads(done.stdout)["old_database"])
    assert system.with_store(lambda store: store.get(later.id)) is None
    kept.rename(system.settings.database_path)
    assert system.with_store(lambda store: store.get(later.id)) == later


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_a_wal_without_its_database_counts_as_one(
    system: System, file: Path, force: list[str]
) -> None:
    """It would be replayed into the restored database, so it is put aside too."""
    system.settings.database_path.unlink()
    wal = Path(f"{system.settings.database_path}-wal")
    wal.write_bytes(b"what is left of another database")
    done = system.run("restore", str(file), *force)
    assert done.returncode == (0 if force else 2)
    assert wal.exists() != bool(force)


def _stopped_half_way(system: System, folder: Path) -> subprocess.Popen[str]:
    """Start a backup and stop its process while its file exists; try again if it was too fast."""
    for _ in range(20):
        process = system.command("backup", str(folder / "x.tar"), "--force")
        deadline = time.monotonic() + _WAIT_S
        while not (there := list(folder.glob(".safeurl-backup-*/backup"))):
            assert time.monotonic() < deadline
            if process.poll() is not None:
                break
        if there:
            process.send_signal(signal.SIGSTOP)
            if there[0].exists():
                return process
            process.send_signal(signal.SIGCONT)
        process.communicate(timeout=30)
        (folder / "x.tar").unlink()
    pytest.fail("no backup was met half-way")


def test_sigterm_leaves_nothing_behind(system: System, tmp_path: Path) -> None:
    """A backup that gets SIGTERM removes its incomplete file."""
    for blob in (tmp_path / "state" / "artefacts").glob("*/*"):
        os.truncate(blob, 32 * 1024**2)  # so that reading it takes a moment
    process = _stopped_half_way(system, tmp_path)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    _, words = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in words
    assert _names(tmp_path) == ["state"]
