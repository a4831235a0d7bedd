"""The supervisor with real processes: restarts, order of stopping, the second signal."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

_PROGRAM = """
import sys, time, signal, os
from pathlib import Path
from worker.supervisor import Role, Supervisor
folder = Path(sys.argv[1])

def steady(name, delay=0.0, deaf=False):
    def main():
        def stop(*_):
            if deaf: return
            time.sleep(delay)
            with (folder / "ends").open("a") as ends: ends.write(name + "\\n")
            raise SystemExit(0)
        signal.signal(signal.SIGTERM, stop)
        with (folder / "starts").open("a") as starts: starts.write(f"{name} {os.getpid()}\\n")
        while True: time.sleep(0.05)
    return main

roles = [Role("queue", steady("queue"), stop_wave=1), Role("work", steady("work", 0.5))]
if len(sys.argv) > 2: roles.append(Role("deaf", steady("deaf", deaf=True)))
Supervisor(roles, grace_s=float(sys.argv[2]) if len(sys.argv) > 2 else 10).run()
"""


def _start(folder: Path, *arguments: str, roles: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM, str(folder), *arguments])
    _until(lambda: len(_starts(folder)) == roles)
    return process


def _starts(folder: Path) -> list[tuple[str, int]]:
    file = folder / "starts"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(name, int(pid)) for name, pid in (line.split() for line in lines)]


def _until(is_true: object, timeout_s: float = 15) -> None:
    assert callable(is_true)
    deadline = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def test_roles_stop_in_waves(tmp_path: Path) -> None:
    """SIGTERM stops the workers first, then the queue they use; the exit code is 0."""
    process = _start(tmp_path, roles=2)
    process.terminate()
    assert process.wait(timeout=10) == 0
    assert (tmp_path / "ends").read_text().split() == ["work", "queue"]


def test_a_killed_role_is_started_again(tmp_path: Path) -> None:
    """A role that dies comes back as another process."""
    process = _start(tmp_path, roles=2)
    victim = dict(_starts(tmp_path))["work"]
    os.kill(victim, signal.SIGKILL)
    _until(lambda: len(_starts(tmp_path)) == 3)
    assert _starts(tmp_path)[-1][0] == "work"
    process.terminate()
    assert process.wait(timeout=10) == 0


@pytest.mark.parametrize("second", [False, True], ids=["grace over", "second signal"])
def test_a_deaf_role_is_killed(tmp_path: Path, *, second: bool) -> None:
    """A role that ignores SIGTERM is killed when the grace is over, or at the second signal."""
    process = _start(tmp_path, "60" if second else "1", roles=3)
    deaf = dict(_starts(tmp_path))["deaf"]
    process.terminate()
    if second:
        time.sleep(1)
        process.terminate()
    process.wait(timeout=20)
    assert not psutil.pid_exists(deaf)


def test_children_end_with_a_killed_supervisor(tmp_path: Path) -> None:
    """A killed supervisor makes the kernel tell its children to stop."""
    process = _start(tmp_path, roles=2)
    process.kill()
    process.wait(timeout=10)
    pids = [pid for _, pid in _starts(tmp_path)]
    _until(lambda: not any(_alive(pid) for pid in pids))


def _alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
