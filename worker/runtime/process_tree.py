"""The descendants of a process, as /proc lists them."""

import os
import signal
from pathlib import Path


def children(pid: int) -> list[int]:
    """Return the children that the main thread of the process has forked."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []  # the process has ended, or this is not Linux
    return [int(child) for child in listed.split()]


def send_signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process; it is not an error if the process has ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def kill_tree(pid: int) -> None:
    """Kill our child and its descendants: a job would outlive the worker that forked it."""
    for each in (pid, *_descendants(pid)):
        send_signal(each, signal.SIGKILL)
    os.waitpid(pid, 0)


def _descendants(pid: int) -> list[int]:
    return [each for child in children(pid) for each in (child, *_descendants(child))]
