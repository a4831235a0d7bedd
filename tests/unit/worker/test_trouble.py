"""What the processes of a worker's tree tell each other of their engine."""

import os

import pytest

from safeurl.settings import Settings
from worker.sandbox.circuit_breaker import CircuitBreaker
from worker.tasks import make_sandbox


def test_a_job_tells_the_worker_that_was_told_another_concurrency() -> None:
    """`safeurl worker --concurrency` changes nothing that a sandbox is made by."""
    settings = Settings.read({})
    job_settings = settings.model_copy(update={"worker_concurrency": 9})
    assert make_sandbox(settings) is make_sandbox(job_settings)
    other = settings.model_copy(update={"fetcher_image": "other"})
    assert make_sandbox(settings) is not make_sandbox(other)


def _at(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr("worker.sandbox.circuit_breaker.time.monotonic", lambda: 1000.0 + seconds)


def test_each_failure_in_a_row_doubles_the_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three seconds, six, up to a minute for days; what failed beside the first counts with it."""
    trouble, now_s = CircuitBreaker(), 0.0
    for pause_s in (3.0, 6.0, 12.0, 24.0, 48.0, *[60.0] * 1500):
        _at(monkeypatch, now_s)
        assert not trouble.pauses()
        trouble.tell()
        trouble.tell()
        _at(monkeypatch, now_s + pause_s - 0.1)
        assert trouble.pauses()
        now_s += pause_s


def test_an_engine_that_still_fails_is_asked_again_as_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking costs nothing: the pause begins anew and is not longer."""
    trouble = CircuitBreaker()
    _at(monkeypatch, 0.0)
    trouble.tell()
    for number in range(1, 9):
        _at(monkeypatch, 3.0 * number)
        assert not trouble.pauses()
        assert trouble.is_known()
        trouble.tell_again()


def test_a_sandbox_that_ran_ends_it() -> None:
    """Without a pause."""
    trouble = CircuitBreaker()
    trouble.tell()
    trouble.clear()
    assert not trouble.is_known()
    assert not trouble.pauses()


def test_forked_processes_know_what_one_of_them_met() -> None:
    """Each scan runs in a process of its own, and its siblings take the next."""
    trouble = CircuitBreaker()
    if (child := os.fork()) == 0:
        trouble.tell()
        os._exit(0)
    os.waitpid(child, 0)
    assert trouble.pauses()
