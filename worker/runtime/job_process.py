"""One job in a forked child with a process group of its own, under a deadline."""

import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from worker.runtime import child_process

_log = logging.getLogger("safeurl.daemon")

#: The time in which a job can end by itself after its deadline; then it is killed.
_GRACE_S = 60.0


class JobTimeoutError(Exception):
    """The job's deadline has passed.

    It is not a TimeoutError, because code in the job may catch that for its own timeouts.
    """


def run_job(job: Callable[[], None], *, deadline_s: float, grace_s: float = _GRACE_S) -> int:
    """Run the job in a child, wait for its end, and return its exit status (negative: a signal).

    SIGTERM to this process does not end the wait; a job is ended by a signal to the job.
    """
    pid = child_process.start_child(lambda mask: _run_in_child(job, deadline_s, mask))
    with suppress(OSError):  # both parent and child do this, as either may run first
        os.setpgid(pid, pid)
    return _wait(pid, deadline_s + grace_s)


def _wait(pid: int, timeout_s: float) -> int:
    """Wait for the child, and kill its process group after the timeout."""

    def kill(_number: int, _frame: FrameType | None) -> None:
        _log.warning("worker.job_killed pid=%d after_s=%.0f", pid, timeout_s)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)

    before = signal.signal(signal.SIGALRM, kill)
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    try:
        _, status = os.waitpid(pid, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return os.waitstatus_to_exitcode(status)


def _run_in_child(
    job: Callable[[], None], deadline_s: float, mask: child_process.SignalMask
) -> int:
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, _on_deadline)
    signal.setitimer(signal.ITIMER_REAL, deadline_s)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        job()
    except BaseException:  # noqa: BLE001 - also SystemExit: a job that succeeds returns
        _log.exception("worker.job_crashed")
        return 1
    return 0


def _on_deadline(_number: int, _frame: FrameType | None) -> None:
    raise JobTimeoutError
