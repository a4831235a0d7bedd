"""Whose process is whose: all that the chaos starts stays below it, and is found by a mark."""

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterable
from pathlib import Path

import psutil

_PR_SET_CHILD_SUBREAPER = 36
#: Names a worker's tree in the environment, which forks inherit and orphans keep.
TREE_MARK = "SAFEURL_CHAOS_TREE"


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent is killed, in place of init."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants() -> list[psutil.Process]:
    """Return all that lives below this process, zombies left out."""
    found = psutil.Process().children(recursive=True)
    return [each for each in found if _state(each) not in {None, psutil.STATUS_ZOMBIE}]


def members(mark: str) -> list[psutil.Process]:
    """Return the living processes of one worker's tree, orphans included."""
    return [each for each in descendants() if _mark(each) == mark]


def kill(pids: Iterable[int]) -> list[int]:
    """Send SIGKILL; return those that were there to get it."""
    return send(signal.SIGKILL, pids)


def send(number: signal.Signals, pids: Iterable[int]) -> list[int]:
    """Send a signal; return those that were there to get it."""
    hit = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            hit.append(pid)
    return hit


def bury(own: Iterable[int]) -> None:
    """Wait for adopted orphans that have ended, but not for `own` children, which have a caller."""
    mine = set(own)
    for each in psutil.Process().children():
        if each.pid not in mine and _state(each) == psutil.STATUS_ZOMBIE:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(each.pid, os.WNOHANG)


def open_files(pid: int) -> set[str]:
    """Return the targets of the process' descriptors."""
    found = set()
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(entry.readlink()))
    return found


def _state(process: psutil.Process) -> str | None:
    try:
        return str(process.status())
    except psutil.Error:
        return None


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(TREE_MARK)
    except (psutil.Error, OSError):
        return None
