"""What bounds the throughput, from attempts and facts about the host."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from math import inf

import pytest

from safeurl.model.attempt import Attempt
from safeurl.model.worker import WorkerHeartbeat
from safeurl.services.phase_figures import path_figures
from safeurl.services.throughput import HostFacts, Throughput, throughput
from tests.support.attempt_rows import COLD, WARM, make_attempt
from tests.support.builders import NOW, make_beat

_HOST = HostFacts(
    name="host-1",
    processors=2,
    load=0.3,
    available_memory_bytes=10**9,
    concurrency=3,
    pool_size="auto",
)


def _found(
    attempts: Sequence[Attempt],
    workers: Sequence[WorkerHeartbeat] = (make_beat(),),
    host: HostFacts = _HOST,
) -> Throughput:
    found = throughput(attempts, path_figures(attempts), workers, host)
    assert found is not None
    return found


def _in_a_row(count: int, step_ms: float, times: tuple[float, ...] = WARM) -> list[Attempt]:
    return [
        make_attempt(times, NOW + timedelta(milliseconds=step_ms * number))
        for number in range(count)
    ]


def _waiting(wake_ms: float) -> tuple[float, ...]:
    return (WARM[0], wake_ms, *WARM[2:])


def test_below_capacity_nothing_bounds() -> None:
    """Scans that are taken up at once say so, however slow their pages are."""
    found = _found(_in_a_row(50, 1000.0))
    assert found.scans_per_s == pytest.approx(50 / 49.047, rel=0.01)
    assert found.at_once == pytest.approx(0.055, abs=0.01)
    assert (found.slots, found.findings[0].part) == (5, "load")
    assert "Nothing bounds" in found.findings[0].text


def test_busy_workers_bound() -> None:
    """Scans wait for them, and the processors are idle: more at a time."""
    found = _found(_in_a_row(200, 10.0, _waiting(5000.0)))
    assert found.at_once > 4
    assert found.findings[0].part == "workers"
    assert "WORKER_CONCURRENCY (together 5 now)" in found.findings[0].advice


def test_busy_processors_bound() -> None:
    """More at a time would not help there."""
    found = _found(_in_a_row(200, 10.0, _waiting(5000.0)), host=replace(_HOST, load=6.5))
    assert found.findings[0].part == "processors"
    assert "the load is 6.5 on 2 processors" in found.findings[0].text
    assert "more hosts" in found.findings[0].advice


def test_a_burst_is_told_from_a_lack_of_workers() -> None:
    """Scans waited, but most of the time there were free workers."""
    found = _found(_in_a_row(20, 1000.0, _waiting(5000.0)))
    assert found.findings[0].part == "load"
    assert "came all at once" in found.findings[0].text


def test_a_long_fetch_makes_a_short_wait_unimportant() -> None:
    """A wait counts by its length and by its part of the whole."""
    slow = (2.0, 150.0, 8.0, 3.0, 4.0, 1.0, 9000.0, 2.0, 6.0, 1.0)
    assert "Nothing bounds" in _found(_in_a_row(20, 10_000.0, slow)).findings[0].text


def test_each_part_has_its_limit() -> None:
    """In scans a second, the lowest first: workers by time, processors and memory by use."""
    found = _found(_in_a_row(10, 1000.0))
    limits = {limit.part: limit.scans_per_s for limit in found.limits}
    assert limits["workers"] == pytest.approx(5 / 0.055)
    assert limits["processors"] == pytest.approx(20.0)
    assert limits["memory"] == pytest.approx(10**9 / (20 * 1024**2) / 0.055)
    assert [limit.part for limit in found.limits] == ["processors", "workers", "memory"]
    bare = [replace(each, cpu_ms=None, peak_memory_bytes=None) for each in _in_a_row(10, 1000.0)]
    assert [limit.part for limit in _found(bare).limits] == ["workers"]


def test_of_other_hosts_only_the_workers_are_known() -> None:
    """The processors of this host say nothing about theirs."""
    elsewhere = replace(make_beat("worker-2"), host="host-2")
    busy = replace(_HOST, load=9.0)
    found = _found(_in_a_row(200, 10.0, _waiting(5000.0)), [make_beat(), elsewhere], busy)
    assert found.slots == 10
    assert [limit.part for limit in found.limits] == ["workers"]
    found = _found(_in_a_row(200, 5.0, _waiting(5000.0)), [make_beat(), elsewhere], busy)
    assert found.findings[0].part == "workers"


def test_without_workers_the_settings_say_how_many() -> None:
    """Figures can be read while nothing runs."""
    assert _found(_in_a_row(10, 1000.0), []).slots == 3


@pytest.mark.parametrize(
    ("warm", "pool_size", "said"),
    [
        (9, "auto", "10% of the sandboxes were started cold: the pool was empty (POOL_SIZE=auto)."),
        (9, "4", "10% of the sandboxes were started cold: the pool was empty (POOL_SIZE=4)."),
        (9, "0", "10% of the sandboxes were started cold: there is no pool now (POOL_SIZE=0)."),
        (0, "0", "100% of the sandboxes were started cold: there is no pool now (POOL_SIZE=0)."),
        (0, "2", "100% of the sandboxes were started cold: no pool was ready (POOL_SIZE=2)."),
        (0, None, None),
        (9, None, None),
        (99, "auto", None),
    ],
)
def test_cold_starts_are_explained(warm: int, pool_size: str | None, said: str | None) -> None:
    """By what the pool is, and only if they are many and a pool is possible."""
    attempts = [*_in_a_row(warm, 1000.0), *_in_a_row(1, 1000.0, COLD)]
    host = replace(_HOST, pool_size=pool_size)
    found = [each for each in _found(attempts, host=host).findings if each.part == "pool"]
    assert [each.text for each in found] == ([said] if said else [])
    assert all(each.advice for each in found)


def test_the_longest_phase_of_each_kind_is_named() -> None:
    """With what to change."""
    attempts = [*_in_a_row(9, 1000.0), *_in_a_row(9, 1000.0, COLD)]
    longest = {each.part: each for each in _found(attempts).findings[-2:]}
    assert "warm start is `fetch`" in longest["fetch"].text
    assert "cold start is `prepare`" in longest["prepare"].text
    assert all(each.advice for each in longest.values())


def test_a_single_attempt_has_figures() -> None:
    """And so has one that took no time at all."""
    assert _found([make_attempt()]).scans_per_s == pytest.approx(1 / 0.047, rel=0.05)
    nothing = make_attempt((0.0,) * 10, start_kind="warm")
    assert [limit.part for limit in _found([nothing]).limits] == ["processors"]


def test_a_clock_that_was_set_back_raises_no_rate() -> None:
    """An attempt of 47 ms does not become a thousand scans in a second."""
    attempts = [make_attempt(ended_at=NOW - timedelta(hours=1))]
    assert _found(attempts) == _found([make_attempt()])


def test_a_damaged_row_changes_nothing() -> None:
    """Its times may be infinite."""
    attempts = _in_a_row(3, 100.0)
    damaged = replace(attempts[0], fetch_ms=inf, cpu_ms=inf)
    assert _found([*attempts, damaged]) == _found(attempts)


def test_without_attempts_nothing_is_said() -> None:
    """There is nothing to say it from."""
    assert throughput([], path_figures([]), [make_beat()], _HOST) is None
