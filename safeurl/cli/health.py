"""How health looks in a terminal: a panel there, plain lines in a pipe."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from safeurl.cli.render import clean, stamp
from safeurl.health import Health

_STYLES: Final = MappingProxyType(
    {"healthy": "bold green", "degraded": "bold yellow", "unhealthy": "bold red"}
)
_GIBIBYTE: Final = 1024**3
#: Sentences of ours may be longer than what hostile pages get.
_MAX_TEXT: Final = 600


def print_health(console: Console, health: Health) -> None:
    """Print status, issues with advice, and the figures of the work there is."""
    if console.is_terminal:
        console.print(_panel(health))
        return
    lines = [
        ("status", health.status),
        *(("issue", words) for words in health.issues),
        *(("recommendation", words) for words in health.recommendations),
        *_facts(health),
    ]
    for name, value in lines:
        shown = f"{name}: {clean(value, _MAX_TEXT)}"
        console.print(shown, markup=False, highlight=False, soft_wrap=True)


def _panel(health: Health) -> RenderableType:
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(health):
        facts.add_row(name, Text(clean(value, _MAX_TEXT)))
    style = _STYLES[health.status]
    parts: list[RenderableType] = [facts]
    if health.issues:
        parts += [_sentences("✗", style, health.issues), Text()]
        parts += [_sentences("→", "bold", health.recommendations)]
        parts.insert(1, Text())
    return Panel(
        Group(*parts),
        title=Text(f" {health.status.upper()} ", style=style),
        border_style=style,
        padding=(1, 2),
    )


def _sentences(mark: str, style: str, sentences: tuple[str, ...]) -> Table:
    listed = Table.grid(padding=(0, 1))
    listed.add_column(style=style)
    listed.add_column(overflow="fold")
    for sentence in sentences:
        listed.add_row(mark, Text(clean(sentence, _MAX_TEXT)))
    return listed


def _facts(health: Health) -> Iterator[tuple[str, str]]:
    yield "database", health.database.detail
    yield "queue", health.queue.detail
    for beat in health.workers:
        docker = f"Docker {beat.docker_detail}" if beat.docker_ok else "no Docker"
        free = f"{beat.disk_free_bytes / _GIBIBYTE:.1f} GiB free"
        who = f"{beat.host} (process {beat.pid})"
        yield "worker", f"{who}, {beat.concurrency} at a time, {docker}, {free}"
    metrics = health.metrics
    if metrics is None:
        return
    oldest = metrics.oldest_pending_at
    since = f", the oldest since {stamp(oldest)}" if oldest else ""
    yield "scans", f"{metrics.pending} pending{since}; {metrics.in_progress} in progress"
    yield (
        "last hour",
        f"{metrics.recently_completed} completed, {metrics.recently_failed} failed or timed out",
    )
