"""Prints the health: as a panel in a terminal, as plain lines in a pipe."""

from collections.abc import Iterable, Iterator
from types import MappingProxyType
from typing import Final

from safeurl.cli.view.render import FACTS, stamp
from safeurl.cli.view.screen import Column, Grid, Screen
from safeurl.printable import clean
from safeurl.services.health import Health

_STYLES: Final = MappingProxyType(
    {"healthy": "bold green", "degraded": "bold yellow", "unhealthy": "bold red"}
)
_GIBIBYTE: Final = 1024**3
#: Our own sentences may be longer than text of hostile pages.
_MAX_TEXT: Final = 600


def print_health(screen: Screen, health: Health, sources: Iterable[tuple[str, str]] = ()) -> None:
    """Print the status, the issues with advice, the counts of scans, and the source of settings."""
    given = (*_facts(health), *sources)
    facts = [(name, clean(value, _MAX_TEXT)) for name, value in given]
    if screen.is_terminal:
        style = _STYLES[health.status]
        grids = [Grid(columns=FACTS, rows=facts)]
        if health.issues:
            grids += [
                _sentences("✗", style, health.issues),
                _sentences("→", "bold", health.recommendations),
            ]
        screen.panel(_status(health).upper(), style, grids)
        return
    given_lines = [
        ("status", _status(health)),
        *(("issue", clean(words, _MAX_TEXT)) for words in health.issues),
        *(("recommendation", clean(words, _MAX_TEXT)) for words in health.recommendations),
    ]
    for name, value in (*given_lines, *facts):
        screen.line(f"{name}: {value}")


def _status(health: Health) -> str:
    return health.status if health.is_running else "not running"


def _sentences(mark: str, style: str, sentences: tuple[str, ...]) -> Grid:
    rows = [(mark, clean(sentence, _MAX_TEXT)) for sentence in sentences]
    return Grid(columns=(Column(style=style), Column()), rows=rows, gap=1)


def _facts(health: Health) -> Iterator[tuple[str, str]]:
    yield "database", health.database.detail
    yield "queue", health.queue.detail
    for worker in health.workers:
        docker = f"Docker {worker.docker_version}" if worker.parts.docker.ok else "no Docker"
        free = f"{worker.disk_free_bytes / _GIBIBYTE:.1f} GiB free"
        free = free if worker.parts.disk.is_readable else "no state folder"
        who = f"{worker.host} (process {worker.pid})"
        yield "worker", f"{who}, {worker.concurrency} at a time, {docker}, {free}"
        if (pool := worker.parts.pool) is not None:
            ready = f"{pool.size} of {pool.target} sandboxes ready on {worker.host}"
            failing = f", {pool.failed_starts} failed starts" if pool.failed_starts else ""
            yield "pool", f"{ready}; {pool.hits} hits, {pool.misses} misses{failing}"
    metrics = health.metrics
    if metrics is None:
        return
    oldest = metrics.oldest_pending_at
    since = f", the oldest since {stamp(oldest)}" if oldest else ""
    yield "scans", f"{metrics.pending} pending{since}; {metrics.in_progress} in progress"
    failed, cancelled = metrics.recently_failed, metrics.recently_cancelled
    others = f"{failed} failed or timed out, {cancelled} cancelled"
    yield "last hour", f"{metrics.recently_completed} completed, {others}"
