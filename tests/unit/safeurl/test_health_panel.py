"""How health looks: a panel in a terminal, plain lines in a pipe."""

from dataclasses import replace
from datetime import timedelta
from io import StringIO

from rich.console import Console

from safeurl.cli.view.health import print_health
from safeurl.cli.view.screen import Screen
from safeurl.model.scan import Metrics
from safeurl.model.worker import WarmPool, WorkerParts
from safeurl.services.health import Health, Part
from tests.support.builders import NOW, make_beat

_HEALTH = Health(
    at=NOW,
    database=Part(ok=True, detail="The database answers."),
    queue=Part(ok=False, detail="Redis does not answer:\n\x1b[31m[bold]refused[/]."),
    workers=(make_beat(),),
    metrics=Metrics(
        pending=2,
        in_progress=1,
        recently_completed=30,
        recently_failed=4,
        recently_cancelled=2,
        recently_broken=0,
        oldest_pending_at=NOW - timedelta(seconds=9),
    ),
)


def _shown(health: Health, *, on_terminal: bool) -> str:
    console = Console(file=StringIO(), force_terminal=on_terminal, width=80, color_system=None)
    print_health(Screen(console), health)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_in_a_pipe_each_fact_is_a_line() -> None:
    """Text of other programs is cleaned, and is not read as our markup."""
    assert _shown(_HEALTH, on_terminal=False).splitlines() == [
        "status: degraded",
        "issue: Redis does not answer: [31m[bold]refused[/].",
        f"recommendation: {_HEALTH.recommendations[0]}",
        "database: The database answers.",
        "queue: Redis does not answer: [31m[bold]refused[/].",
        "worker: host-1 (process 4711), 5 at a time, Docker 20.10.24, 9.3 GiB free",
        "scans: 2 pending, the oldest since 2026-01-02 03:03:56Z; 1 in progress",
        "last hour: 30 completed, 4 failed or timed out, 2 cancelled",
    ]


def test_a_pool_has_a_line_of_its_own() -> None:
    """Failed starts are named only if there are any."""
    pool = WarmPool(size=2, target=3, hits=40, misses=1)
    beats = [replace(make_beat(), parts=WorkerParts(pool=each)) for each in (pool, None)]
    lines = _shown(replace(_HEALTH, workers=tuple(beats)), on_terminal=False).splitlines()
    assert [line for line in lines if line.startswith("pool: ")] == [
        "pool: 2 of 3 sandboxes ready on host-1; 40 hits, 1 misses"
    ]
    failing = replace(beats[0], parts=WorkerParts(pool=replace(pool, failed_starts=2)))
    assert "1 misses, 2 failed starts" in _shown(
        replace(_HEALTH, workers=(failing,)), on_terminal=False
    )


def test_in_a_terminal_it_is_a_panel_that_fits() -> None:
    """The status is the title; issues and advice are separate from the numbers."""
    lines = _shown(_HEALTH, on_terminal=True).splitlines()
    assert "DEGRADED" in lines[0]
    assert {len(line) for line in lines} == {80}
    assert [line[3] for line in lines if line[3] in "✗→"] == ["✗", "→"]


def test_when_all_is_well_there_is_nothing_to_do() -> None:
    """No issue, no advice."""
    well = replace(_HEALTH, queue=Part(ok=True, detail="The queue answers."))
    shown = _shown(well, on_terminal=True)
    assert "HEALTHY" in shown
    assert not {"✗", "→"} & set(shown)
