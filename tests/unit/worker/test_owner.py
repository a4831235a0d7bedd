"""A lease's owner is known to have ended only where that is certain."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from worker.identity import has_ended, owner_name, process_name


def test_a_living_process_has_not_ended() -> None:
    """Neither our own nor one of somebody else's that may only be looked at."""
    assert not has_ended(owner_name(os.getpid()))
    assert not has_ended(owner_name(1))


def test_a_process_that_ended_is_known() -> None:
    """Both while it is a zombie and after it was waited for."""
    with subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE) as ended:
        assert ended.stdout is not None
        ended.stdout.read()
        name = owner_name(ended.pid)
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert has_ended(name)
    assert has_ended(name)


def test_a_process_id_that_was_given_out_again_is_told_by_its_start() -> None:
    """Where the name holds it; a process is not another one by its own start."""
    mine = process_name(os.getpid())
    assert not has_ended(mine)
    assert has_ended(f"{owner_name(os.getpid())}+1")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        name = process_name(other.pid)
        assert not has_ended(name)
        other.communicate(b"\n")
    assert has_ended(name)


def test_a_process_of_another_user_has_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """That it may not be looked at shows that it is there."""

    def refuse(pid: int, number: int) -> None:
        raise PermissionError(f"{pid} {number}")

    monkeypatch.setattr("worker.identity.os.kill", refuse)
    assert not has_ended(owner_name(os.getpid()))


def test_a_process_is_not_taken_for_ended_by_its_name() -> None:
    """The kernel tells the name in brackets, before the state, and a name may hold anything."""
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
def test_of_other_hosts_and_boots_nothing_is_known(owner: str | None) -> None:
    """Their leases have to run out."""
    assert not has_ended(owner)


def test_a_process_keeps_its_name_and_shares_it_with_none() -> None:
    """The name holds the start of the process besides its id, in ticks since this boot."""
    mine = process_name(os.getpid())
    assert mine == process_name(os.getpid())
    before_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        name, _, start = process_name(other.pid).rpartition("+")
        assert name == owner_name(other.pid)
        started_s = int(start) / os.sysconf("SC_CLK_TCK")
        assert before_s - 1 <= started_s <= time.clock_gettime(time.CLOCK_BOOTTIME)
        other.communicate(b"\n")


#: Names process 7 as it would be called under another /proc.
_ELSEWHERE = """
import sys
from pathlib import Path
from worker import identity

identity.Path = lambda name: Path(sys.argv[1] + name)
print(identity.owner_name(7))
"""


def _named(folder: Path, boot: str, namespace: int) -> str:
    """Return the name of process 7 of that boot and process namespace."""
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


def test_each_boot_and_each_container_has_processes_of_its_own(tmp_path: Path) -> None:
    """Process 7 of this host before it was started anew, or of a container on it, is another."""
    name = _named(tmp_path / "a", "boot-1", 1)
    assert name == _named(tmp_path / "b", "boot-1", 1)
    assert name != _named(tmp_path / "c", "boot-2", 1)
    assert name != _named(tmp_path / "d", "boot-1", 2)
