"""The figures as bars, in an SVG without scripts or fonts of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from tests.bench.compare.lab import p50_p95
from tests.bench.compare.results import COLD, FLOOR, LOOP, TUTORIAL, WARM, Row, Table

_WIDTH, _NAME_WIDTH, _FIGURE_WIDTH = 860, 330, 90
_BAR, _STEP, _TITLE, _MARGIN = 14, 22, 40, 16
_COLOURS = {
    WARM: "#0b7285",
    COLD: "#66a9b8",
    LOOP: "#868e96",
    TUTORIAL: "#b08968",
    FLOOR: "#ced4da",
}


@dataclass(frozen=True, slots=True)
class _Bar:
    kind: str
    name: str
    value: float
    figure: str


def chart(tables: Sequence[Table]) -> str:
    """Return the picture: for each runtime throughput, time and CPU per scan."""
    pieces: list[str] = []
    y = _MARGIN
    for table in tables:
        for title, bars in _groups(table):
            if bars:
                pieces += _group(title, bars, y)
                y += _TITLE + _STEP * len(bars)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{y + _MARGIN}" '
        f'viewBox="0 0 {_WIDTH} {y + _MARGIN}" font-family="sans-serif" font-size="13">'
    )
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return "\n".join([head, "<title>SafeURL's benchmark</title>", ground, *pieces, "</svg>"]) + "\n"


def _groups(table: Table) -> list[tuple[str, list[_Bar]]]:
    rows = [row for row in table.rows if row.samples]
    rates = [_Bar(row.kind, row.name, row.per_second, f"{row.per_second:.2f}") for row in rows]
    cpu = [_Bar(row.kind, row.name, row.cpu_ms, f"{row.cpu_ms:.0f}") for row in rows if row.cpu_ms]
    return [
        (f"Scans per second, more is better ({table.runtime})", rates),
        (f"Milliseconds for one scan, p50 (p95), less is better ({table.runtime})", _times(table)),
        (f"CPU milliseconds per scan, less is better ({table.runtime})", cpu),
    ]


def _times(table: Table) -> list[_Bar]:
    found: list[tuple[Row, tuple[float, float]]] = [
        (row, p50_p95(steady.sample.latencies_ms))
        for kind, steady in table.steady.items()
        if (row := table.best(kind))
    ]
    found += [
        (row, row.latency_ms) for kind in (LOOP, TUTORIAL, FLOOR) if (row := table.single(kind))
    ]
    return [_Bar(row.kind, row.name, p50, f"{p50:.0f} ({p95:.0f})") for row, (p50, p95) in found]


def _group(title: str, bars: Sequence[_Bar], top: int) -> list[str]:
    room = _WIDTH - _NAME_WIDTH - _FIGURE_WIDTH - _MARGIN
    most = max(bar.value for bar in bars) or 1.0
    pieces = [f'<text x="{_MARGIN}" y="{top + 20}" font-weight="bold">{escape(title)}</text>']
    for number, bar in enumerate(bars):
        y = top + _TITLE - 8 + number * _STEP
        width = max(1.0, room * bar.value / most)
        place = f'x="{_NAME_WIDTH}" y="{y}" width="{width:.1f}" height="{_BAR}"'
        rect = f'<rect {place} fill="{_COLOURS[bar.kind]}"/>'
        pieces += [
            f'<text x="{_NAME_WIDTH - 8}" y="{y + 11}" text-anchor="end">{escape(bar.name)}</text>',
            rect,
            f'<text x="{_NAME_WIDTH + width + 6:.1f}" y="{y + 11}">{escape(bar.figure)}</text>',
        ]
    return pieces
