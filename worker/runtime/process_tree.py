"""Processes below a process, as /proc lists them."""

import os
import signal
from pathlib import Path


def children(pid: int) -> list[int]:
    """Return the children that the process' main thread has forked."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []  # no Linux, or it has ended
    return [int(child) for child in listed.split()]


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended meanwhile."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # as good as told


def kill_tree(pid: int) -> None:
    """Kill our child with all that it has started: a job outlives the worker that forked it."""
    for each in (pid, *_descendants(pid)):
        send(each, signal.SIGKILL)
    os.waitpid(pid, 0)


def _descendants(pid: int) -> list[int]:
    return [each for child in children(pid) for each in (child, *_descendants(child))]
