"""The settings file that is read: never one only because it is in the current folder."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.system import RunningWorker, System

_NOT_READ = "The .env of this folder is not read. If it is yours, name it: `--env-file .env`."


class Attacker:
    """The Redis of an attacker: it counts connections, and closes them."""

    def __init__(self, listener: socket.socket) -> None:
        """Store the listening socket."""
        self._listener = listener
        self.port = int(listener.getsockname()[1])
        self.calls = 0

    def run(self) -> None:
        """Answer until the socket is shut down."""
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            self.calls += 1
            caller.close()


@pytest.fixture
def attacker() -> Iterator[Attacker]:
    """Listen like an attacker's Redis."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        attacker = Attacker(listener)
        thread = threading.Thread(target=attacker.run)
        thread.start()
        yield attacker
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def kit(tmp_path: Path, attacker: Attacker, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to the folder of a phishing kit, whose `.env` names the attacker's Redis."""
    folder = tmp_path / "kit"
    folder.mkdir()
    (folder / ".env").write_text(
        f"REDIS_HOST=127.0.0.1\nREDIS_PORT={attacker.port}\n"
        "EGRESS_ALLOW_CIDRS=0.0.0.0/0\nCONTAINER_NETWORK=bridge\n"
    )
    monkeypatch.chdir(folder)
    return folder


def _system(tmp_path: Path, **settings: str) -> System:
    """Return an installation whose commands look for a file as a user's would."""
    away = {"DOCKER_SOCKET_PATH": str(tmp_path / "no.sock"), "SAFEURL_ENV_FILE": ""}
    system = System(tmp_path / "state", **{**away, **settings})
    assert system.run("migrate").returncode == 0
    return system


@pytest.mark.usefixtures("kit")
def test_commands_in_a_hostile_folder_do_not_take_its_settings(
    tmp_path: Path, attacker: Attacker
) -> None:
    """No command connects to the Redis named there, and each says that the file is not read."""
    system = _system(tmp_path)
    submit = system.run("https://example.com/", program="submit-scan")
    assert submit.returncode == 0, submit.stderr
    for done in (submit, system.run("list")):
        assert _NOT_READ in done.stderr
        assert "Settings are read" not in done.stderr
        assert "Warning: EGRESS" not in done.stderr
    assert system.run("scan", "https://example.com/").returncode == 75  # Docker does not run here
    with RunningWorker(system) as run:
        log = run.log.read_text()
    assert _NOT_READ in log
    assert "settings.weakness" not in log
    assert attacker.calls == 0


@pytest.mark.parametrize("arguments", [("--env-file", ".env", "list"), ("list",)])
@pytest.mark.usefixtures("kit")
def test_a_file_that_is_named_is_read_and_said(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """By the option or by the variable; weak settings in it are named, and JSON stays valid."""
    system = _system(tmp_path)
    if "--env-file" not in arguments:
        system.environ["SAFEURL_ENV_FILE"] = ".env"
    done = system.run(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) is not None
    assert f"Settings are read from {Path('.env').absolute()}." in done.stderr
    assert "Warning: EGRESS_ALLOW_CIDRS=0.0.0.0/0: pages reach" in done.stderr
    assert "every address, cloud metadata and its credentials" in done.stderr
    assert "Warning: CONTAINER_NETWORK=bridge" in done.stderr
    assert _NOT_READ not in done.stderr


@pytest.mark.usefixtures("kit")
def test_submit_scan_takes_the_option_too(tmp_path: Path, attacker: Attacker) -> None:
    """Then the command does connect to the Redis that is named there."""
    system = _system(tmp_path)
    url = "https://example.com/"
    done = system.run("--env-file", ".env", url, program="submit-scan", timeout_s=60)
    assert done.returncode == 0, done.stderr
    assert attacker.calls > 0


def test_the_state_folders_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If none is named; the environment overrides it, and without a file there is no message."""
    monkeypatch.chdir(tmp_path)
    system = _system(tmp_path)
    assert system.run("list").stderr == ""
    file = system.settings.state_dir / ".env"
    file.write_text("EGRESS_ALLOW_PORTS=25,26\nEGRESS_DNS64=true\n")
    system.environ["EGRESS_ALLOW_PORTS"] = "22"
    said = system.run("list").stderr
    assert f"Settings are read from {file}." in said
    assert "EGRESS_ALLOW_PORTS=22:" in said
    assert "EGRESS_DNS64=true:" in said


def test_no_file_is_read_where_none_is_wanted(tmp_path: Path) -> None:
    """As units want it, which have their settings already."""
    system = _system(tmp_path)
    (system.settings.state_dir / ".env").write_text("EGRESS_DNS64=true\n")
    system.environ["SAFEURL_ENV_FILE"] = "none"
    assert system.run("list").stderr == ""


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """A typing error must not lead to the default settings."""
    system = _system(tmp_path)
    done = system.run("--env-file", str(tmp_path / "missing.env"), "list")
    assert done.returncode == 78
    assert f"{tmp_path}/missing.env cannot be read: No such file or directory." in done.stderr


def test_a_file_that_others_can_write_stops_the_command(tmp_path: Path) -> None:
    """Also a file that was not named, because it is at a place that is searched."""
    system = _system(tmp_path)
    file = system.settings.state_dir / ".env"
    file.write_text("EGRESS_DNS64=true\n")
    file.chmod(0o620)
    done = system.run("list")
    assert done.returncode == 78
    assert f"chmod go-w {file}" in done.stderr
