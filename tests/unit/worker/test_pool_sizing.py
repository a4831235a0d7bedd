"""The size of the warm pool follows the demand, within what the host allows."""

from dataclasses import replace
from pathlib import Path

import pytest

from worker.sandbox.pool.size.demand import Demand
from worker.sandbox.pool.size.host_memory import HostMemory, read_memory
from worker.sandbox.pool.size.target import (
    MEMBER_MB,
    SHRINK_S,
    Situation,
    needed_anchors,
    target_size,
)

_IDLE = Situation(
    wanted=None,
    claims_10s=0,
    claims_60s=0,
    previous=0,
    since_lowered_s=60.0,
    concurrency=5,
    uids=1000,
    size=0,
    available_mb=4096,
    pressure=0.0,
)


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        # Without demand one is kept.
        ({}, 1),
        # One claim in the last minute needs hardly more.
        ({"claims_10s": 1, "claims_60s": 1}, 2),
        # One per second: 1.5 while one is being started, 2.4 for the variation, and the floor.
        ({"claims_10s": 10, "claims_60s": 10}, 5),
        # A burst of the last seconds counts in full, and at most two for each running scan.
        ({"claims_10s": 50, "claims_60s": 50}, 10),
        # Half an hour of the same demand needs no more than its rate.
        ({"claims_10s": 10, "claims_60s": 60}, 5),
        # Lowered by one at a time, and not at once.
        ({"previous": 8, "since_lowered_s": SHRINK_S - 1}, 8),
        ({"previous": 8, "since_lowered_s": SHRINK_S}, 7),
        ({"previous": 1}, 1),
        # A number is a number, with and without demand.
        ({"wanted": 3}, 3),
        ({"wanted": 3, "claims_10s": 50, "claims_60s": 50}, 3),
        ({"wanted": 0}, 0),
        # A quarter of the available memory, 40 MB each; those that exist have theirs already.
        ({"wanted": 100, "available_mb": 640}, 4),
        ({"wanted": 100, "available_mb": 640, "size": 4}, 8),
        # Too little memory, and tasks that wait for it, drain the pool.
        ({"wanted": 3, "available_mb": 200, "size": 3}, 0),
        ({"pressure": 30.0, "size": 3}, 0),
        # Running scans need user ids, too.
        ({"wanted": 8, "uids": 10}, 5),
        ({"wanted": 8, "uids": 5}, 0),
        # A host of one scan at a time keeps at most two.
        ({"concurrency": 1, "claims_10s": 50, "claims_60s": 50}, 2),
    ],
)
def test_the_size_of_the_pool(changes: dict[str, int], size: int) -> None:
    """Each row changes the idle situation and names the size."""
    assert target_size(replace(_IDLE, **changes)) == size


@pytest.mark.parametrize("free_mb", range(200, 700, 20))
def test_the_size_settles_on_a_host_with_little_memory(free_mb: int) -> None:
    """Members that take memory are not started and drained in turn."""
    size, sizes = 0, []
    for _ in range(20):
        left_mb = free_mb - size * MEMBER_MB
        now = replace(_IDLE, wanted=8, previous=size, size=size, available_mb=left_mb)
        size = target_size(now)
        sizes.append(size)
    assert len(set(sizes[-5:])) == 1, sizes


def test_demand_counts_the_last_seconds() -> None:
    """Claims are forgotten after a minute."""
    now_s = 1000.0
    demand = Demand(lambda: now_s)
    demand.claimed()
    now_s += 30
    demand.claimed()
    assert demand.recent() == (1, 2)
    now_s += 31
    assert demand.recent() == (0, 1)
    now_s += 60
    assert demand.recent() == (0, 0)


def test_memory_is_read_from_the_kernel(tmp_path: Path) -> None:
    """Available memory in MB; without pressure information there is no pressure."""
    (tmp_path / "meminfo").write_text("MemTotal: 8000000 kB\nMemAvailable:  2097152 kB\n")
    assert read_memory(tmp_path) == HostMemory(available_mb=2048, pressure=0.0)
    (tmp_path / "pressure").mkdir()
    (tmp_path / "pressure/memory").write_text(
        "some avg10=3.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=1.25 avg60=0.00 total=1\n"
    )
    assert read_memory(tmp_path) == HostMemory(available_mb=2048, pressure=1.25)
    assert read_memory().available_mb > 0
    assert read_memory(tmp_path / "hidden").available_mb > 0


@pytest.mark.parametrize(
    ("target", "members", "running", "anchors"),
    [
        # An idle pool: one member, and one anchor to spare.
        (1, 1, 0, 2),
        # A burst has claimed all members: the anchors of those that follow are kept.
        (10, 2, 5, 16),
        (10, 0, 5, 16),
        # The target has shrunk, and its members are not gone yet.
        (3, 8, 0, 9),
        # A drained pool keeps none.
        (0, 4, 5, 0),
    ],
)
def test_the_anchors_of_the_target_are_kept(
    target: int, members: int, running: int, anchors: int
) -> None:
    """No anchor is removed that the pool needs again as soon as it has refilled."""
    assert needed_anchors(target=target, members=members, running=running) == anchors
