"""Standard output that fails, or lacks a character: an error message or an escape."""

import errno
import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.builders import make_scan
from tests.support.small_disk import SmallDisk
from tests.support.system import System
from tests.support.user import needs_root

_SAFEURL = "from safeurl.cli import main; main()"
_SCANS = 200
_LIST = ("list", "--json", "--limit", str(_SCANS))
_URL = "https://例え.example/Ärger?ż=€"


@pytest.fixture
def system(tmp_path: Path) -> System:
    """Return an installation with a scan."""
    system = System(tmp_path / "state")
    system.with_store(lambda store: store.add([make_scan(url=_URL)]))
    return system


def _run(
    system: System, *arguments: str, stdout: int, **environ: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", _SAFEURL, *arguments],
        env=system.environ | environ,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )


def _add_long(system: System) -> None:
    """Add enough scans for a list of several hundred KiB."""
    long = f"https://example.com/{'x' * 2000}"
    system.with_store(lambda store: store.add([make_scan(url=long) for _ in range(_SCANS)]))


def _sentence(number: int) -> bytes:
    return f"Error: Standard output cannot be written: {os.strerror(number)}.\n".encode()


@pytest.mark.parametrize(
    ("command", "unbuffered"),
    [
        (["audit", "export"], ""),
        (["audit", "export"], "1"),
        (["audit", "verify"], ""),
        (["list"], ""),
        (["list"], "1"),
        (["list", "--json"], ""),
        (["version"], "1"),
        (["--help"], ""),
    ],
)
def test_a_full_device(system: System, command: list[str], unbuffered: str) -> None:
    """There is one message, the exit code means a temporary fault, and nothing follows."""
    with Path("/dev/full").open("wb") as full:
        done = _run(system, *command, stdout=full.fileno(), PYTHONUNBUFFERED=unbuffered)
    assert (done.returncode, done.stderr) == (75, _sentence(errno.ENOSPC))


def test_a_full_device_in_the_midst(system: System) -> None:
    """The buffer is written while the database is open, which is then closed in order."""
    system.with_store(lambda store: store.add([make_scan() for _ in range(200)]))
    with Path("/dev/full").open("wb") as full:
        done = _run(system, "audit", "export", stdout=full.fileno())
    assert (done.returncode, done.stderr) == (75, _sentence(errno.ENOSPC))
    assert not Path(f"{system.settings.database_path}-wal").exists()


def test_an_output_that_is_not_for_writing(system: System) -> None:
    """Other messages of the operating system are passed on."""
    with Path("/dev/null").open("rb") as readable:
        done = _run(system, "version", stdout=readable.fileno())
    assert (done.returncode, done.stderr) == (75, _sentence(errno.EBADF))


def test_a_terminal_that_is_gone(system: System) -> None:
    """As when a connection is lost."""
    ours, theirs = pty.openpty()
    os.close(ours)
    try:
        done = _run(system, "list", stdout=theirs)
    finally:
        os.close(theirs)
    assert (done.returncode, done.stderr) == (75, _sentence(errno.EIO))


@needs_root
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_device_with_some_room(system: System, tmp_path: Path, unbuffered: str) -> None:
    """A part of a document does not count as complete, also without a buffer."""
    room = 64 * 1024
    _add_long(system)
    folder = tmp_path / "disk"
    folder.mkdir()
    with SmallDisk(folder, size_mb=4) as disk:
        disk.fill(leaving=room)
        with (folder / "out").open("wb") as out:
            done = _run(system, *_LIST, stdout=out.fileno(), PYTHONUNBUFFERED=unbuffered)
        assert 0 < (folder / "out").stat().st_size <= room
    assert (done.returncode, done.stderr) == (75, _sentence(errno.ENOSPC))


def test_an_output_that_does_not_wait_gets_a_document_in_one_piece(system: System) -> None:
    """The pipe accepts 64 KiB at first, and no buffer keeps the rest."""
    _add_long(system)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with (
        subprocess.Popen(
            [sys.executable, "-c", _SAFEURL, *_LIST],
            env=system.environ | {"PYTHONUNBUFFERED": "1"},
            stdout=writing,
        ) as process,
        os.fdopen(reading, "rb") as document,
    ):
        os.close(writing)
        time.sleep(2.0)  # until the pipe is full
        assert len(json.loads(document.read())) == _SCANS
    assert process.returncode == 0


def test_an_output_that_does_not_wait(system: System) -> None:
    """A pipe that another program has made non-blocking still gets all output."""
    system.with_store(lambda store: store.add([make_scan() for _ in range(500)]))
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with (
        subprocess.Popen(
            [sys.executable, "-c", _SAFEURL, "audit", "export"], env=system.environ, stdout=writing
        ) as process,
        os.fdopen(reading, "rb") as lines,
    ):
        os.close(writing)
        time.sleep(3.0)  # until the pipe is full
        assert len(lines.read().splitlines()) == 501
    assert process.returncode == 0


def test_both_outputs_fail(system: System) -> None:
    """No message is possible, but the exit code still shows the fault."""
    with Path("/dev/full").open("wb") as full:
        for command, code in ((["list"], 75), (["status", "nothing"], 2)):
            done = subprocess.run(
                [sys.executable, "-c", _SAFEURL, *command],
                env=system.environ,
                stdout=full,
                stderr=full,
                timeout=60,
                check=False,
            )
            assert done.returncode == code


def test_nobody_reads_the_errors(system: System) -> None:
    """The exit code still shows the fault."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", _SAFEURL, "status", "nothing"],
        env=system.environ,
        stderr=writing,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert done.returncode == 2


def test_an_error_of_the_command_comes_first(system: System) -> None:
    """The command's own error is reported if nothing was printed."""
    with Path("/dev/full").open("wb") as full:
        done = _run(system, "status", "nothing", stdout=full.fileno())
    assert done.returncode == 2
    assert b"No scan has the id" in done.stderr


@needs_root
def test_a_full_disk_of_another_file_is_not_blamed_on_the_output(tmp_path: Path) -> None:
    """The same error, from the database's disk."""
    system = System(tmp_path)
    with SmallDisk(tmp_path, size_mb=4) as disk:
        assert system.run("migrate").returncode == 0
        disk.fill()
        done = system.run("https://example.com/" + "x" * 4000, program="submit-scan")
    assert done.returncode == 75
    assert "The disk that holds the database" in done.stderr
    assert "Standard output" not in done.stderr


@pytest.mark.parametrize(
    "environ",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "ascii:strict"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    ],
    ids=str,
)
@pytest.mark.parametrize("command", [["list"], ["list", "--json"], ["audit", "export"]])
def test_what_the_encoding_lacks_is_escaped(
    system: System, command: list[str], environ: dict[str, str]
) -> None:
    """A hostile page's text, and our own, end no command."""
    done = _run(system, *command, stdout=subprocess.PIPE, **environ)
    assert (done.returncode, done.stderr) == (0, b"")
    if command == ["list"]:
        assert b"\\u4f8b" in done.stdout
    if command == ["list", "--json"]:
        assert json.loads(done.stdout)[0]["url"] == _URL


def test_a_closed_output_is_nobodys_fault(system: System) -> None:
    """A service manager may start us without one."""
    script = f"import os; os.execv({sys.executable!r}, [{sys.executable!r}, '-c', {_SAFEURL!r}])"
    done = subprocess.run(
        [sys.executable, "-c", f"import os; os.close(1); os.close(2); {script}"],
        env=system.environ,
        timeout=60,
        check=False,
        capture_output=True,
    )
    assert done.returncode == 2  # no command was named
