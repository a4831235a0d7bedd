"""The notifications of daemons to the service manager, received on a real socket."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from safeurl.service_manager import Notifier, announced
from tests.support.manager import Manager
from tests.support.system import System

_SUPERVISED = """
import os, sys, time
from pathlib import Path
from worker.runtime.supervisor import Role, Supervisor

def main():
    told = [name for name in os.environ if name.startswith(("NOTIFY_", "WATCHDOG_"))]
    Path(sys.argv[1]).write_text(f"told of {told}")
    time.sleep(60)

Supervisor([Role("one", main)], grace_s=10).run()
"""


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_a_supervisor_tells_of_its_life(tmp_path: Path, *, abstract: bool) -> None:
    """READY once its roles were started, signs of life while its loop turns, STOPPING last."""
    with Manager(tmp_path / "notify", abstract=abstract, watchdog_s=0.4) as manager:
        with _supervised(tmp_path / "role", manager) as process:
            manager.wait_for("WATCHDOG=1", times=5)
            process.terminate()
            process.wait(timeout=20)
        heard = manager.heard()
    assert heard[0] == "READY=1"
    assert "STATUS=1 of 1 processes run" in heard
    assert heard.index("STOPPING=1") > heard.index("WATCHDOG=1")
    assert (tmp_path / "role").read_text() == "told of []"


def test_a_supervisor_that_stands_still_gives_no_sign_of_life(tmp_path: Path) -> None:
    """The pings come from the loop itself, not from a thread that could outlive it."""
    role = tmp_path / "role"
    with (
        Manager(tmp_path / "notify", watchdog_s=0.4) as manager,
        _supervised(role, manager) as process,
    ):
        manager.wait_for("WATCHDOG=1")
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(0.2)
        before = len(manager.heard())
        time.sleep(1)
        assert len(manager.heard()) == before
        os.kill(process.pid, signal.SIGCONT)
        manager.wait_for("WATCHDOG=1", times=before)


@pytest.mark.parametrize("command", ["gateway", "api"])
def test_a_daemon_tells_when_it_can_be_used(tmp_path: Path, command: str) -> None:
    """READY comes when the socket listens, then pings, and STOPPING after SIGTERM."""
    system = System(tmp_path / "state", API_PORT="0")
    with Manager(tmp_path / "notify", watchdog_s=0.4) as manager:
        system.environ.update(manager.environ)
        with system.command(command) as process:
            manager.wait_for("READY=1")
            if command == "gateway":
                with socket.socket(socket.AF_UNIX) as control:
                    control.connect(str(system.settings.gateway_dir / "control.sock"))
            manager.wait_for("WATCHDOG=1", times=3)
            process.terminate()
            process.communicate(timeout=20)
            assert process.returncode == 0
        manager.wait_for("STOPPING=1")


async def test_without_a_manager_nothing_is_sent() -> None:
    """A daemon that a person started has no service manager."""
    notifier = Notifier({})
    notifier.ready()
    notifier.ping()
    notifier.stopping()
    await asyncio.wait_for(notifier.keep_pinging(), timeout=5)


def test_a_manager_that_is_gone_does_no_harm(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A notification that cannot be sent is logged, and the daemon continues."""
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready()
    assert "notify.failed line='READY=1'" in caplog.text


def test_a_watchdog_for_another_process_is_not_ours(tmp_path: Path) -> None:
    """WATCHDOG_PID names the process that must ping; with an invalid interval there is no ping."""
    with Manager(tmp_path / "notify", watchdog_s=0.4) as manager:
        Notifier({**manager.environ, "WATCHDOG_PID": str(os.getppid())}).ping()
        Notifier({**manager.environ, "WATCHDOG_USEC": "soon"}).ping()
        assert manager.heard() == []
        Notifier({**manager.environ, "WATCHDOG_PID": str(os.getpid())}).ping()
        assert manager.heard() == ["WATCHDOG=1"]


def test_a_status_is_sent_when_it_changes(tmp_path: Path) -> None:
    """The same status is not sent again."""
    with Manager(tmp_path / "notify") as manager:
        notifier = Notifier(manager.environ)
        for words in ("one", "one", "two"):
            notifier.status(words)
        assert manager.heard() == ["STATUS=one", "STATUS=two"]


async def test_a_service_that_fails_still_reports_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STOPPING comes after READY, also if the block raises an error."""
    with Manager(tmp_path / "notify") as manager:
        monkeypatch.setenv("NOTIFY_SOCKET", manager.environ["NOTIFY_SOCKET"])
        with pytest.raises(LookupError):
            async with announced():
                raise LookupError
        assert manager.heard() == ["READY=1", "STOPPING=1"]


@contextmanager
def _supervised(answer: Path, manager: Manager) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", _SUPERVISED, str(answer)], env={**os.environ, **manager.environ}
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
