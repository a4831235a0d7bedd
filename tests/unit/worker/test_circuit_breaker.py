"""The circuit breaker that all processes of a worker share."""

import os

from safeurl.settings import Settings
from worker.bootstrap import make_sandbox
from worker.sandbox.circuit_breaker import CircuitBreaker


def test_a_job_and_its_worker_share_the_circuit_breaker() -> None:
    """`safeurl worker --concurrency` does not change the sandbox."""
    settings = Settings.read({})
    job_settings = settings.model_copy(update={"worker_concurrency": 9})
    assert make_sandbox(settings) is make_sandbox(job_settings)
    other = settings.model_copy(update={"fetcher_image": "other"})
    assert make_sandbox(settings) is not make_sandbox(other)


class _Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        """Start at any time but 0."""
        self.now_s = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


def test_each_failure_in_a_row_doubles_the_pause() -> None:
    """Three seconds, six, up to a minute, for days; parallel failures count once."""
    clock = _Clock()
    breaker = CircuitBreaker(monotonic=clock)
    for pause_s in (3.0, 6.0, 12.0, 24.0, 48.0, *[60.0] * 1500):
        assert not breaker.is_open()
        breaker.record_failure()
        breaker.record_failure()
        clock.now_s += pause_s - 0.5
        assert breaker.is_open()
        clock.now_s += 0.5


def test_an_engine_that_still_fails_is_asked_again_as_soon() -> None:
    """A check of the engine restarts the pause and does not extend it."""
    clock = _Clock()
    breaker = CircuitBreaker(monotonic=clock)
    breaker.record_failure()
    for _ in range(8):
        clock.now_s += 3.0
        assert not breaker.is_open()
        assert breaker.has_failed()
        breaker.restart_pause()


def test_a_sandbox_that_ran_ends_it() -> None:
    """After a success there is no pause."""
    breaker = CircuitBreaker()
    breaker.record_failure()
    breaker.record_success()
    assert not breaker.has_failed()
    assert not breaker.is_open()


def test_forked_processes_know_what_one_of_them_met() -> None:
    """Each scan runs in its own process, and the other workers take the next one."""
    breaker = CircuitBreaker()
    if (child := os.fork()) == 0:
        breaker.record_failure()
        os._exit(0)
    os.waitpid(child, 0)
    assert breaker.is_open()
