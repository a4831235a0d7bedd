"""Keeps the fetch inside its time: a parent that outlives it, and kills it when it is late.

In the container this is PID 1, so the container ends with it, whatever hangs in the child, and
also when daemon and worker have vanished.
"""

import contextlib
import os
import select
import signal
from collections.abc import Callable
from enum import IntEnum
from typing import NoReturn

from fetcher.deadline import Deadline
from fetcher.streams import say_why

#: Seconds between the fetch's own deadline and the kill: for parsing and writing the report.
GRACE_S = 4.0

_MAX_FETCH_S = 600.0


class Exit(IntEnum):
    """Exit codes of the fetcher. A child that a signal N killed gives 128 + N (137: memory)."""

    REPORTED = 0
    #: A fault in the fetcher itself; the traceback is on stderr.
    CRASHED = 1
    #: The request line is not one that this fetcher can run.
    BAD_REQUEST = 65
    #: The report cannot be written: nobody reads it any more, or there is no room for it.
    STDOUT_CLOSED = 74
    #: No request came within the idle time.
    IDLE = 123
    #: The guard killed the fetch at its wall deadline.
    LATE = 124
    TERMINATED = 128 + signal.SIGTERM


#: Does the work in the child; calls its argument with the request's seconds once it has one.
Work = Callable[[Callable[[float], None]], Exit]


def run_guarded(work: Work, idle_s: float) -> int:
    """Run the work in a child and return the exit code; kill it when it is late."""
    told, tell = os.pipe()
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    # Handlers stand before the fork, so that no signal is missed; the child takes them off.
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, _ignore)
    child = os.fork()
    if child == 0:
        _child(work, tell)
    os.close(tell)
    return _watch(child, told, woken, idle_s)


def _ignore(_number: int, _frame: object) -> None:
    """Do nothing: the byte in the wake-up pipe says which signal came."""


def _child(work: Work, tell: int) -> NoReturn:
    code = Exit.CRASHED
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

        def has_begun(seconds: float) -> None:
            os.write(tell, f"{min(seconds, _MAX_FETCH_S)}".encode())
            os.close(tell)

        code = work(has_begun)
    except BaseException:  # noqa: BLE001 - the child's last act is to say why it ended
        say_why()
    finally:
        # In a block of its own: nothing that is raised above comes past it.
        os._exit(code)


def _watch(child: int, told: int, woken: int, idle_s: float) -> int:
    deadline, late = Deadline.after(idle_s), Exit.IDLE
    channels = [told, woken]
    while True:
        ready = select.select(channels, [], [], deadline.left())[0]
        if not ready:
            return _kill(child, late)
        if woken in ready:
            signals = os.read(woken, 64)
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return _exit_code(status)
            if signal.SIGTERM in signals:
                return _kill(child, Exit.TERMINATED)
        if told in ready:
            channels.remove(told)
            said = os.read(told, 64)
            if said:
                deadline, late = Deadline.after(float(said) + GRACE_S), Exit.LATE


def _kill(child: int, code: Exit) -> int:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return code


def _exit_code(status: int) -> int:
    if os.WIFSIGNALED(status):
        return 128 + os.WTERMSIG(status)
    return os.WEXITSTATUS(status)
