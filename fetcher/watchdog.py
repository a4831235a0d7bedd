"""Limits the duration of a fetch: a parent process kills the child that exceeds its time.

In the container the parent is PID 1. When it exits, the container ends, even if the child is
blocked and the Docker daemon and the worker are gone.
"""

import contextlib
import os
import select
import signal
from collections.abc import Callable
from enum import IntEnum
from typing import NoReturn

from fetcher.deadline import Deadline
from fetcher.streams import log_exception

#: Seconds between the deadline of the fetch and the kill, for parsing and for writing the report.
GRACE_S = 4.0

_MAX_FETCH_S = 600.0


class Exit(IntEnum):
    """Exit codes of the fetcher; 128 + N if signal N killed the child (137: out of memory)."""

    REPORTED = 0
    #: An error in the fetcher itself; the traceback is on stderr.
    CRASHED = 1
    #: This fetcher cannot run the request line.
    BAD_REQUEST = 65
    #: The report cannot be written: its reader is gone or the device is full.
    STDOUT_CLOSED = 74
    #: No request arrived within the idle time.
    IDLE = 123
    #: The watchdog killed the fetch because it exceeded its time.
    LATE = 124
    TERMINATED = 128 + signal.SIGTERM


#: Runs in the child. It calls its argument with the request's timeout as soon as it has a request.
Work = Callable[[Callable[[float], None]], Exit]


def run_with_watchdog(work: Work, idle_s: float) -> int:
    """Run the work in a child, kill it when its time is over, and return the exit code."""
    timeout_reader, timeout_writer = os.pipe()
    signal_reader, signal_writer = os.pipe()
    os.set_blocking(signal_writer, False)
    # The handlers are set before the fork, so that no signal is lost. The child resets them.
    signal.set_wakeup_fd(signal_writer, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, _ignore)
    child = os.fork()
    if child == 0:
        _run_child(work, timeout_writer)
    os.close(timeout_writer)
    return _watch(child, timeout_reader, signal_reader, idle_s)


def _ignore(_number: int, _frame: object) -> None:
    """Do nothing; the byte in the wake-up pipe is the number of the signal."""


def _run_child(work: Work, timeout_writer: int) -> NoReturn:
    code = Exit.CRASHED
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

        def report_timeout(seconds: float) -> None:
            os.write(timeout_writer, f"{min(seconds, _MAX_FETCH_S)}".encode())
            os.close(timeout_writer)

        code = work(report_timeout)
    except BaseException:  # noqa: BLE001 - logged; the child ends in any case
        log_exception()
    finally:
        # In `finally`, so that no exception can pass this line.
        os._exit(code)


def _watch(child: int, timeout_reader: int, signal_reader: int, idle_s: float) -> int:
    deadline, exit_code = Deadline.after(idle_s), Exit.IDLE
    readers = [timeout_reader, signal_reader]
    while True:
        ready = select.select(readers, [], [], deadline.left())[0]
        if not ready:
            return _kill(child, exit_code)
        if signal_reader in ready:
            signals = os.read(signal_reader, 64)
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return _exit_code(status)
            if signal.SIGTERM in signals:
                return _kill(child, Exit.TERMINATED)
        if timeout_reader in ready:
            readers.remove(timeout_reader)
            message = os.read(timeout_reader, 64)
            if message:
                deadline, exit_code = Deadline.after(float(message) + GRACE_S), Exit.LATE


def _kill(child: int, code: Exit) -> int:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return code


def _exit_code(status: int) -> int:
    if os.WIFSIGNALED(status):
        return 128 + os.WTERMSIG(status)
    return os.WEXITSTATUS(status)
