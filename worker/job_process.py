"""One job in a forked child of its own process group, under a deadline."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

_log = logging.getLogger("safeurl.daemon")

#: What a job gets to end by itself once its deadline has passed; then it is killed.
_GRACE_S = 60.0
_HELD_BACK = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


class JobTimeoutError(Exception):
    """The job's deadline has passed.

    Not a TimeoutError: what waits inside the job with a deadline of its own would take it for that.
    """


def run_job(job: Callable[[], None], *, deadline_s: float, grace_s: float = _GRACE_S) -> int:
    """Run the job in a child, wait for its end, and return its exit status (negative: a signal).

    SIGTERM at this process does not end the wait: a job is ended by a signal of its own.
    """
    sys.stdout.flush()
    # A signal that came between the fork and the child's first step would run our handler there.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
    try:
        pid = os.fork()
        if not pid:
            _become(job, deadline_s, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
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


def _become(
    job: Callable[[], None], deadline_s: float, mask: set[int | signal.Signals]
) -> NoReturn:
    """Be the child: never return into the parent's frames."""
    code = 1
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, _on_deadline)
        signal.setitimer(signal.ITIMER_REAL, deadline_s)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        job()
        code = 0
    except BaseException:  # noqa: BLE001 - the child's last act is to say why it ended
        _log.exception("worker.job_crashed")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _on_deadline(_number: int, _frame: FrameType | None) -> None:
    raise JobTimeoutError
