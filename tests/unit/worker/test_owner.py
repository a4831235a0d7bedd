"""A lease's owner is known to have ended only where that is certain."""

import os
import subprocess
import sys

import pytest

from worker.owner import has_ended, owner_name, process_name


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


@pytest.mark.parametrize(
    "owner", [None, "", "w1", "host-2/0123abcd:1", f"{os.uname().nodename}/00000000:999999", "a:b"]
)
def test_of_other_hosts_and_boots_nothing_is_known(owner: str | None) -> None:
    """Their leases have to run out."""
    assert not has_ended(owner)


def test_a_process_keeps_its_name_and_shares_it_with_none() -> None:
    """The name holds the start of the process besides its id."""
    mine = process_name(os.getpid())
    assert mine == process_name(os.getpid())
    assert mine.startswith(f"{owner_name(os.getpid())}+")
