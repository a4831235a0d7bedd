"""The supervisor with real processes: restarts, order of stopping, the further signals."""

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
if "slow-fork" in sys.argv:
    os.register_at_fork(after_in_child=lambda: time.sleep(1))
from pathlib import Path
from worker.runtime.supervisor import Role, Supervisor
folder = Path(sys.argv[1])

def steady(name, delay=0.0, deaf=False):
    def main():
        def stop(*_):
            if deaf: return
            time.sleep(delay)
            with (folder / "ends").open("a") as ends: ends.write(name + "\\n")
            raise SystemExit(0)
        signal.signal(signal.SIGTERM, stop)
        start(name)
        while True: time.sleep(0.05)
    return main

def start(name):
    with (folder / "starts").open("a") as starts: starts.write(f"{name} {os.getpid()}\\n")

def with_job():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if not os.fork():
        os.setpgrp()
        start("job")
    while True: time.sleep(0.05)

def waiting_for_job():
    def told(*_):
        with (folder / "ends").open("a") as ends: ends.write("told\\n")
    signal.signal(signal.SIGTERM, told)
    job = os.fork()
    if not job:
        os.setpgrp()
        steady("job")()
    os.waitpid(job, 0)

def ends(name, code):
    def main():
        start(name)
        time.sleep(0.3 if "lived" in name else 0)
        raise SystemExit(code)
    return main

roles = [Role("queue", steady("queue"), stop_wave=1), Role("work", steady("work", 0.5))]
if "deaf" in sys.argv: roles.append(Role("deaf", steady("deaf", deaf=True)))
if "brief" in sys.argv: roles.append(Role("brief", ends("brief", 0)))
if "failing" in sys.argv: roles.append(Role("failing", ends("failing", 1)))
if "lived" in sys.argv: roles.append(Role("lived", ends("lived", 0)))
if "job" in sys.argv: roles.append(Role("with job", with_job))
if "told job" in sys.argv: roles.append(Role("waiting for job", waiting_for_job))
if "no" in sys.argv:
    def no_fork(): raise BlockingIOError("no process left")
    fork, calls = os.fork, []
    os.fork = lambda: calls.append(1) or (no_fork() if len(calls) == 1 else fork())
hand_back_s = 60 if "slow" in sys.argv else 2
Supervisor(roles, grace_s=float(sys.argv[2]), hand_back_s=hand_back_s).run()
"""


def _start(
    folder: Path, *arguments: str, roles: int, grace_s: float = 10
) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(folder), str(grace_s), *arguments]
    )
    _until(lambda: len(_starts(folder)) == roles)
    return process


def _starts(folder: Path) -> list[tuple[str, int]]:
    file = folder / "starts"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(name, int(pid)) for name, pid in (line.split() for line in lines)]


def _ends(folder: Path) -> list[str]:
    file = folder / "ends"
    return file.read_text().split() if file.exists() else []


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
    assert _ends(tmp_path) == ["work", "queue"]


def test_a_killed_role_is_started_again(tmp_path: Path) -> None:
    """A killed role comes back as another process."""
    process = _start(tmp_path, roles=2)
    victim = dict(_starts(tmp_path))["work"]
    os.kill(victim, signal.SIGKILL)
    _until(lambda: len(_starts(tmp_path)) == 3)
    assert _starts(tmp_path)[-1][0] == "work"
    process.terminate()
    assert process.wait(timeout=10) == 0


@pytest.mark.parametrize("second", [False, True], ids=["grace over", "second signal"])
def test_a_deaf_role_is_killed(tmp_path: Path, *, second: bool) -> None:
    """A role that ignores SIGTERM is killed when the grace, or that of a second signal, is over."""
    process = _start(tmp_path, "deaf", roles=3, grace_s=60 if second else 1)
    deaf = dict(_starts(tmp_path))["deaf"]
    process.terminate()
    if second:
        time.sleep(1)
        process.terminate()
    process.wait(timeout=20)
    assert not psutil.pid_exists(deaf)


def test_a_signal_that_comes_twice_at_once_is_one(tmp_path: Path) -> None:
    """`timeout` and process groups deliver a signal twice; roles still get their grace."""
    process = _start(tmp_path, roles=2)
    process.terminate()
    time.sleep(0.1)
    process.terminate()
    assert process.wait(timeout=10) == 0
    assert _ends(tmp_path) == ["work", "queue"]


def test_a_stop_reaches_a_role_that_was_just_forked(tmp_path: Path) -> None:
    """SIGTERM between the fork and the child's first step is not lost in the child."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(tmp_path), "60", "slow-fork"],
    )
    _until(lambda: len(psutil.Process(process.pid).children()) == 2)
    process.terminate()
    assert process.wait(timeout=20) == 0
    assert "work" not in dict(_starts(tmp_path))


@pytest.mark.parametrize(("kind", "most"), [("brief", 6), ("failing", 3)])
def test_a_role_that_ends_at_once_is_not_started_in_a_loop(
    tmp_path: Path, kind: str, most: int
) -> None:
    """Whatever its status, a role that lived shortly waits before it is started again."""
    process = _start(tmp_path, kind, roles=3)
    time.sleep(1.2)
    process.terminate()
    assert process.wait(timeout=10) == 0
    assert len([name for name, _ in _starts(tmp_path) if name == kind]) <= most


def test_a_role_that_ends_well_is_started_again_at_once(tmp_path: Path) -> None:
    """An end without error is not a crash: ten short lives need no pauses between them."""
    process = _start(tmp_path, "lived", roles=3)
    _until(lambda: [name for name, _ in _starts(tmp_path)].count("lived") == 10, timeout_s=30)
    process.terminate()
    assert process.wait(timeout=10) == 0


def test_the_second_signal_reaches_the_jobs(tmp_path: Path) -> None:
    """A role keeps its job after one SIGTERM; at the second the job gets it, and not the role."""
    process = _start(tmp_path, "told job", "slow", roles=3, grace_s=60)
    process.terminate()
    _until(lambda: "work" in _ends(tmp_path))
    assert "job" not in _ends(tmp_path)
    process.terminate()
    assert process.wait(timeout=20) == 0
    assert sorted(_ends(tmp_path)) == ["job", "queue", "told", "work"]
    assert _ends(tmp_path)[-1] == "queue"


def test_the_third_signal_kills_at_once(tmp_path: Path) -> None:
    """The third signal ends all without a wait."""
    process = _start(tmp_path, "deaf", "slow", roles=3, grace_s=60)
    deaf = dict(_starts(tmp_path))["deaf"]
    for _ in range(3):
        process.terminate()
        time.sleep(1)
    process.wait(timeout=20)
    assert not psutil.pid_exists(deaf)


def test_a_fork_that_fails_is_tried_again(tmp_path: Path) -> None:
    """A host without a process to spare costs a pause, not the supervisor."""
    process = _start(tmp_path, "no", roles=2)
    process.terminate()
    assert process.wait(timeout=10) == 0


def test_a_killed_role_takes_its_job_along(tmp_path: Path) -> None:
    """The end leaves no process, not even one that ignores SIGTERM in its own process group."""
    process = _start(tmp_path, "job", roles=3, grace_s=60)
    process.terminate()
    time.sleep(1)
    process.terminate()
    process.wait(timeout=20)
    job = dict(_starts(tmp_path))["job"]
    _until(lambda: not _alive(job))


def test_children_end_with_a_killed_supervisor(tmp_path: Path) -> None:
    """If a supervisor is killed, the kernel sends SIGTERM to its children."""
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
