"""A job in a forked child: its exit status, its deadline, and signals meanwhile."""

import logging
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from worker.runtime.job_process import JobTimeoutError, run_job

_DEADLINE_S = 30.0


def test_a_job_that_ends_well_has_status_zero(tmp_path: Path) -> None:
    """It runs in another process with its own process group."""
    seen = tmp_path / "seen"

    def job() -> None:
        seen.write_text(f"{os.getpid()} {os.getpgid(0)}")

    assert run_job(job, deadline_s=_DEADLINE_S) == 0
    pid, group = seen.read_text().split()
    assert pid == group != str(os.getpid())


@pytest.mark.parametrize(
    ("job", "status"),
    [
        (lambda: sys.exit(3), 1),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), -signal.SIGKILL),
        (lambda: os._exit(7), 7),
        (lambda: 1 // 0, 1),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), -signal.SIGTERM),
    ],
    ids=["exit", "killed", "own-status", "crash", "told"],
)
def test_a_job_that_does_not_end_well_says_how(job: object, status: int) -> None:
    """The child never returns into the parent's code."""
    assert run_job(job, deadline_s=_DEADLINE_S) == status  # type: ignore[arg-type]  # results differ


def test_the_deadline_is_raised_inside_the_job(tmp_path: Path) -> None:
    """The job can end in order; the error is not a TimeoutError, which the job may use itself."""
    seen = tmp_path / "seen"

    def job() -> None:
        try:
            time.sleep(_DEADLINE_S)
        except JobTimeoutError:
            seen.touch()
            raise

    assert run_job(job, deadline_s=0.2) == 1
    assert seen.exists()
    assert not issubclass(JobTimeoutError, TimeoutError)


def test_a_job_that_outlives_its_deadline_is_killed(caplog: pytest.LogCaptureFixture) -> None:
    """So are all processes of its group."""

    def job() -> None:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        time.sleep(_DEADLINE_S)

    with caplog.at_level(logging.WARNING):
        assert run_job(job, deadline_s=0.1, grace_s=0.2) == -signal.SIGKILL
    assert "worker.job_killed" in caplog.text
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_signal_at_the_parent_does_not_end_the_job(tmp_path: Path) -> None:
    """The worker is to stop; the job that runs ends by itself."""
    seen, told = tmp_path / "seen", []
    before = signal.signal(signal.SIGTERM, lambda *_: told.append(True))

    def job() -> None:
        os.kill(os.getppid(), signal.SIGTERM)
        seen.touch()

    try:
        assert run_job(job, deadline_s=_DEADLINE_S) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen.exists()
    assert told
