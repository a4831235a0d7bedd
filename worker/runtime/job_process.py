"""One job in a forked child of its own process group, under a deadline."""

import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from worker.runtime import forked

_log = logging.getLogger("safeurl.daemon")

#: What a job gets to end by itself once its deadline has passed; then it is killed.
_GRACE_S = 60.0


class JobTimeoutError(Exception):
    """The job's deadline has passed.

    Not a TimeoutError: what waits inside the job with a deadline of its own would take it for that.
    """


def run_job(job: Callable[[], None], *, deadline_s: float, grace_s: float = _GRACE_S) -> int:
    """Run the job in a child, wait for its end, and return its exit status (negative: a signal).

    SIGTERM at this process does not end the wait: a job is ended by a signal of its own.
    """
    pid = forked.fork(lambda mask: _become(job, deadline_s, mask))
    with suppress(OSError):  # the child does the same; whoever comes first
        os.setpgid(pid, pid)
    return _wait(pid, deadline_s + grace_s)


def _wait(pid: int, patience_s: float) -> int:
    """Wait for the child, and kill its process group when that takes too long."""

    def kill(_number: int, _frame: FrameType | None) -> None:
        _log.warning("worker.job_killed pid=%d after_s=%.0f", pid, patience_s)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)

    before = signal.signal(signal.SIGALRM, kill)
    signal.setitimer(signal.ITIMER_REAL, patience_s)
    try:
        _, status = os.waitpid(pid, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return os.waitstatus_to_exitcode(status)


def _become(job: Callable[[], None], deadline_s: float, mask: forked.Mask) -> int:
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGALRM, _on_deadline)
    signal.setitimer(signal.ITIMER_REAL, deadline_s)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        job()
    except BaseException:  # noqa: BLE001 - also SystemExit: a job that ended well returns
        _log.exception("worker.job_crashed")
        return 1
    return 0


def _on_deadline(_number: int, _frame: FrameType | None) -> None:
    raise JobTimeoutError
