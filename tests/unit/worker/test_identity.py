"""A process counts as ended only if that is certain."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from worker.identity import has_ended, owner_name, process_name


def test_a_living_process_has_not_ended() -> None:
    """Neither our own process nor one of another user."""
    assert not has_ended(owner_name(os.getpid()))
    assert not has_ended(owner_name(1))


def test_a_process_that_ended_is_known() -> None:
    """While it is a zombie, and after its parent has waited for it."""
    with subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE) as ended:
        assert ended.stdout is not None
        ended.stdout.read()
        name = owner_name(ended.pid)
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert has_ended(name)
    assert has_ended(name)


def test_a_reused_process_id_is_recognised_by_the_start_time() -> None:
    """If the name has it; a process with its own start time has not ended."""
    mine = process_name(os.getpid())
    assert not has_ended(mine)
    assert has_ended(f"{owner_name(os.getpid())}+1")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        name = process_name(other.pid)
        assert not has_ended(name)
        other.communicate(b"\n")
    assert has_ended(name)


def test_a_process_of_another_user_has_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused signal shows that the process exists."""

    def refuse(pid: int, number: int) -> None:
        raise PermissionError(f"{pid} {number}")

    monkeypatch.setattr("worker.identity.os.kill", refuse)
    assert not has_ended(owner_name(os.getpid()))


def test_a_process_is_not_taken_for_ended_by_its_name() -> None:
    """The kernel lists the name in brackets before the state, and a name may contain anything."""
    command = "open('/proc/self/comm', 'w').write('a) Z (b'); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as odd:
        assert odd.stdout is not None
        odd.stdout.readline()
        assert not has_ended(owner_name(odd.pid))


@pytest.mark.parametrize(
    "owner", [None, "", "w1", "host-2/0123abcd:1", f"{os.uname().nodename}/00000000:999999", "a:b"]
)
def test_nothing_is_known_of_other_hosts_and_boots(owner: str | None) -> None:
    """Their leases have to run out."""
    assert not has_ended(owner)


def test_the_name_of_a_process_is_unique_and_stays() -> None:
    """It contains the start time of the process, in clock ticks since the boot, and its id."""
    mine = process_name(os.getpid())
    assert mine == process_name(os.getpid())
    before_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        name, _, start = process_name(other.pid).rpartition("+")
        assert name == owner_name(other.pid)
        started_s = int(start) / os.sysconf("SC_CLK_TCK")
        assert before_s - 1 <= started_s <= time.clock_gettime(time.CLOCK_BOOTTIME)
        other.communicate(b"\n")


#: Prints the name of process 7 under another /proc.
_ELSEWHERE = """
import sys
from pathlib import Path
from worker import identity

identity.Path = lambda name: Path(sys.argv[1] + name)
print(identity.owner_name(7))
"""


def _named(folder: Path, boot: str, namespace: int) -> str:
    """Return the name of process 7 in that boot and process namespace."""
    random, own = folder / "proc/sys/kernel/random", folder / "proc/self/ns"
    for made in (random, own):
        made.mkdir(parents=True)
    (random / "boot_id").write_text(f"{boot}\n")
    (own / "pid").symlink_to(f"pid:[{namespace}]")
    told = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE, str(folder)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return told.stdout.strip()


def test_names_differ_between_boots_and_containers(tmp_path: Path) -> None:
    """Process 7 before a reboot, or in a container, is another process."""
    name = _named(tmp_path / "a", "boot-1", 1)
    assert name == _named(tmp_path / "b", "boot-1", 1)
    assert name != _named(tmp_path / "c", "boot-2", 1)
    assert name != _named(tmp_path / "d", "boot-1", 2)
