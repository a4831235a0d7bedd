"""The circuit breaker that all processes of a worker share."""

import os

import pytest

from safeurl.settings import Settings
from worker.bootstrap import make_sandbox
from worker.sandbox.circuit_breaker import CircuitBreaker


def test_a_job_tells_the_worker_that_was_told_another_concurrency() -> None:
    """`safeurl worker --concurrency` does not change the sandbox."""
    settings = Settings.read({})
    job_settings = settings.model_copy(update={"worker_concurrency": 9})
    assert make_sandbox(settings) is make_sandbox(job_settings)
    other = settings.model_copy(update={"fetcher_image": "other"})
    assert make_sandbox(settings) is not make_sandbox(other)


def _at(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr("worker.sandbox.circuit_breaker.time.monotonic", lambda: 1000.0 + seconds)


def test_each_failure_in_a_row_doubles_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three seconds, six, up to a minute, for days; parallel failures count once."""
    trouble, now_s = CircuitBreaker(), 0.0
    for pause_s in (3.0, 6.0, 12.0, 24.0, 48.0, *[60.0] * 1500):
        _at(monkeypatch, now_s)
        assert not trouble.is_open()
        trouble.record_failure()
        trouble.record_failure()
        _at(monkeypatch, now_s + pause_s - 0.1)
        assert trouble.is_open()
        now_s += pause_s


def test_an_engine_that_still_fails_is_asked_again_as_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check of the engine restarts the pause and does not extend it."""
    trouble = CircuitBreaker()
    _at(monkeypatch, 0.0)
    trouble.record_failure()
    for number in range(1, 9):
        _at(monkeypatch, 3.0 * number)
        assert not trouble.is_open()
        assert trouble.has_failed()
        trouble.restart_pause()


def test_a_sandbox_that_ran_ends_it() -> None:
    """After a success there is no pause."""
    trouble = CircuitBreaker()
    trouble.record_failure()
    trouble.record_success()
    assert not trouble.has_failed()
    assert not trouble.is_open()


def test_forked_processes_know_what_one_of_them_met() -> None:
    """Each scan runs in its own process, and the other workers take the next one."""
    trouble = CircuitBreaker()
    if (child := os.fork()) == 0:
        trouble.record_failure()
        os._exit(0)
    os.waitpid(child, 0)
    assert trouble.is_open()
