"""Processes that fail at each start: health reports it, and a scan in the foreground ends."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.fake_engine import engine
from tests.support.system import RunningWorker, System

_TIMEOUT_S = 60.0
_URL = "http://93.184.215.14/"


def _damaged_queue(folder: Path) -> dict[str, str]:
    """Leave a queue's file that the embedded server refuses."""
    (folder / "valkey" / "appendonlydir").mkdir(parents=True)
    manifest = folder / "valkey" / "appendonlydir" / "appendonly.aof.manifest"
    manifest.write_text("this is no manifest\n")
    return {}


def _unknown_user(_: Path) -> dict[str, str]:
    """Name a user that the gateway does not find."""
    return {"EGRESS_CONTROL_USERS": "nobody-has-this-name"}


def _occupied(folder: Path) -> dict[str, str]:
    """Create a file in the place of the gateway's folder."""
    (folder / "egress").write_text("")
    return {}


@pytest.mark.parametrize(
    ("cause", "role"),
    [(_damaged_queue, "valkey"), (_unknown_user, "gateway"), (_occupied, "gateway")],
)
def test_a_process_that_fails_at_each_start_is_an_issue(
    tmp_path: Path, cause: Callable[[Path], dict[str, str]], role: str
) -> None:
    """As a fact by its name; the system lives on, and its other processes work."""
    system = System(
        tmp_path, DOCKER_SOCKET_PATH="/nowhere.sock", WORKER_CONCURRENCY="1", **cause(tmp_path)
    )
    with RunningWorker(system):
        deadline = time.monotonic() + _TIMEOUT_S
        while (health := system.with_service(lambda service: service.health())).failing != (role,):
            assert time.monotonic() < deadline, health
            time.sleep(0.2)
        assert health.status == "unhealthy"
        assert f"Of SafeURL's processes {role} fails at each start." in health.issues
        assert f"processes {role} fails at each start" in system.run("status").stdout
    assert system.with_service(lambda service: service.health()).failing == ()


@pytest.mark.parametrize("cause", [_damaged_queue, _unknown_user])
def test_a_scan_ends_where_its_worker_fails_at_each_start(
    tmp_path: Path, cause: Callable[[Path], dict[str, str]]
) -> None:
    """With the reason and the log's name, instead of waiting for ever."""
    state = tmp_path / "state"
    state.mkdir()
    given = cause(state)
    path = tmp_path / "docker.sock"
    with engine(path, ApiVersion="1.41", MinAPIVersion="1.12"):
        done = System(state, DOCKER_SOCKET_PATH=str(path), **given).run("scan", _URL, timeout_s=90)
    assert done.returncode == 75
    assert f"The worker fails at each start; {state / 'worker.log'} says why." in done.stderr
    assert "role.ended" in (state / "worker.log").read_text()


@pytest.mark.parametrize(
    "name", ["a b\tc=d", "'\"\\%é漢$x`&;", "new\nline\r,:#?*{}[]", os.fsdecode(b" -\xff ")]
)
def test_a_state_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    """Queue, gateway, database and record work there, and no process ends."""
    system = System(tmp_path / name, DOCKER_SOCKET_PATH="/nowhere.sock", WORKER_CONCURRENCY="1")
    with RunningWorker(system) as worker:
        deadline = time.monotonic() + _TIMEOUT_S
        while not (
            (health := system.with_service(lambda service: service.health())).queue.ok
            and _listens(system.settings.gateway_dir / "control.sock")
        ):
            assert time.monotonic() < deadline, health
            time.sleep(0.2)
        assert health.failing == ()
        assert f"(process {worker.pid})" in system.run("status").stdout
        assert "role.ended" not in worker.log.read_text()


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as control:
        return not control.connect_ex(str(path))
