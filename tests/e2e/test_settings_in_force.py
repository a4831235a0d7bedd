"""Settings of a running system: a misspelt name stops every command; others name the source."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from safeurl.adapters.files.running import find_running
from safeurl.bootstrap import utc_now
from safeurl.services.health import START_TIME, LocalSystem
from tests.support.system import RunningWorker, System


def _system(tmp_path: Path, **settings: str) -> System:
    system = System(
        tmp_path / "state", **{"DOCKER_SOCKET_PATH": str(tmp_path / "no.sock"), **settings}
    )
    assert system.run("migrate").returncode == 0
    return system


@pytest.mark.parametrize("command", ["list", "worker", "up"])
def test_misspelt_variables_stop_every_command(tmp_path: Path, command: str) -> None:
    """Exit 78, with each name as it was written."""
    system = System(tmp_path / "state")
    names = ("WORKER_CONCURENCY", "egress_deny_cidrs", "SAFEURL_DENY", "\u200bEGRESS_DENY_CIDRS")
    system.environ |= dict.fromkeys(names, "1")
    done = system.run(command)
    assert (done.returncode, done.stdout) == (78, "")
    for name in names:
        seen = name.replace("\u200b", r"\u200b")
        assert f"The environment: {seen} is not a setting; the nearest is " in done.stderr


@pytest.mark.parametrize(
    "text",
    ["\ufeff\ufeffEGRESS_DENY_CIDRS=10.0.0.0/8\n", "\u200bEGRESS_DENY_CIDRS=10.0.0.0/8\n"],
)
def test_a_file_with_invisible_marks_stops_the_command(tmp_path: Path, text: str) -> None:
    """The message names the line; one byte order mark at the start is allowed."""
    system = System(tmp_path / "state")
    file = tmp_path / "our.env"
    system.environ["SAFEURL_ENV_FILE"] = str(file)
    file.write_text(text)
    done = system.run("list")
    assert done.returncode == 78
    assert f"{file}, line 1: \\u" in done.stderr
    file.write_text("\ufeffEGRESS_DENY_CIDRS=10.0.0.0/8\n")
    assert "is not a setting" not in system.run("list").stderr


def test_status_and_doctor_tell_of_the_settings_that_run(tmp_path: Path) -> None:
    """The worker read a file that this shell does not; the doctor examines the worker's."""
    system = _system(tmp_path, REDIS_PASSWORD="")
    file = tmp_path / "theirs.env"
    file.write_text("EGRESS_ALLOW_PORTS=25\nEGRESS_DENY_CIDRS=203.0.113.0/24\n")
    here = dict(system.environ)
    system.environ["SAFEURL_ENV_FILE"] = str(file)
    with RunningWorker(system) as worker:
        first = worker.log.read_text().splitlines()[0]
        assert first.endswith(f"settings.file Settings are read from {file}.")
        same = system.run("status").stdout
        assert f"\nsettings: from {file}\n" in same
        assert f"\nrunning: `safeurl worker` (process {worker.pid}), settings from {file}\n" in same
        system.environ = here
        other = system.run("status").stdout
        assert "\nsettings: from the environment alone, no file\n" in other
        assert "; not the same here: EGRESS_ALLOW_PORTS, EGRESS_DENY_CIDRS\n" in other
        document = json.loads(system.run("doctor", "--json").stdout)
        findings = {each["name"]: each for each in document["findings"]}
        chosen = findings["settings"]
        assert chosen["status"] == "warn"
        assert f"(process {worker.pid}), from {file}" in chosen["detail"]
        assert "EGRESS_ALLOW_PORTS=25 there, EGRESS_ALLOW_PORTS= here" in chosen["detail"]
        assert "EGRESS_ALLOW_PORTS=25" in findings["egress-exceptions"]["detail"]
    assert "\nrunning: " not in system.run("status").stdout


def test_a_daemon_without_a_file_says_so_first(tmp_path: Path) -> None:
    """In its first line."""
    with RunningWorker(_system(tmp_path)) as worker:
        first = worker.log.read_text().splitlines()[0]
    assert first.endswith("settings.file Settings are read from the environment alone, no file.")


def test_health_knows_when_the_system_of_this_host_began(tmp_path: Path) -> None:
    """So that a worker without a heartbeat is starting at first, and missing later."""
    system = _system(tmp_path)
    before = int(utc_now().timestamp())
    with RunningWorker(system):
        health = system.with_service(lambda service: service.health())
        assert health.system.started_at is not None
        assert before <= health.system.started_at.timestamp() <= utc_now().timestamp()
        late = replace(health, workers=(), at=health.system.started_at + START_TIME)
        assert "The worker is starting." not in late.issues
        soon = replace(late, at=health.system.started_at)
        assert "The worker is starting." in soon.issues
    assert system.with_service(lambda service: service.health()).system == LocalSystem()


def test_a_killed_worker_is_not_taken_for_running(tmp_path: Path) -> None:
    """Its record still exists, but does not count without the process."""
    system = _system(tmp_path)
    system.environ["TURSO_AUTH_TOKEN"] = "swordfish"  # noqa: S105 - a test's
    with RunningWorker(system) as worker:
        found = find_running(system.settings.state_dir)
        assert found is not None
        assert (found.pid, found.command) == (worker.pid, "worker")
        assert found.secrets == ("TURSO_AUTH_TOKEN",)
        record = system.settings.state_dir / "running.json"
        assert "swordfish" not in record.read_text()
        assert record.stat().st_mode & 0o077 == 0
        os.kill(worker.pid, signal.SIGKILL)
        worker.stop()
        assert record.exists()
    assert find_running(system.settings.state_dir) is None


@pytest.mark.parametrize("text", ["", "[]", '{"command": "up"}', "\0"])
def test_a_record_that_nobody_holds_says_nothing(tmp_path: Path, text: str) -> None:
    """A record without a lock is ignored; one with a lock that cannot be read is an error."""
    record = tmp_path / "running.json"
    record.write_text(text)
    assert find_running(tmp_path) is None
    code = (
        "import fcntl, sys; file = open(sys.argv[1], 'r+'); "
        "fcntl.lockf(file, fcntl.LOCK_EX, 1, 1); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(record)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(ValueError, match="it is not a record of this version"):
            find_running(tmp_path)
        holder.communicate()
