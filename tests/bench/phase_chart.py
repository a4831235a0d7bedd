"""Draws the phases of `safeurl bench` as an SVG: each begins where the one before it ends."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

_WIDTH, _LEFT, _RIGHT, _ROW, _HEAD = 760, 96, 100, 20, 44
#: One colour for each place where the work is done: queue, database, engine, gateway, page, rules.
_COLOURS: Mapping[str, str] = {
    "push": "#4f7cac",
    "wake": "#7c8a99",
    "dispatch": "#7c8a99",
    "claim": "#4f7cac",
    "prepare": "#c8553d",
    "bind": "#588157",
    "fetch": "#e09f3e",
    "close": "#588157",
    "store": "#4f7cac",
    "analyse": "#8e6c8a",
    "other": "#bbbbbb",
}


def chart(kinds: Sequence[Mapping[str, Any]]) -> str:
    """Return an SVG of the medians, one part for each kind of start; all have one scale."""
    # Any: a part of a JSON document.
    widest_ms = max(sum(phase["p50_ms"] for phase in kind["phases"]) for kind in kinds)
    parts: list[str] = []
    top = 8
    for kind in kinds:
        parts += _kind(kind, top, (_WIDTH - _LEFT - _RIGHT) / widest_ms)
        top += _HEAD + _ROW * len(kind["phases"])
    size = f'width="{_WIDTH}" height="{top}" viewBox="0 0 {_WIDTH} {top}"'
    style = 'font-family="sans-serif" font-size="13"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>',
            f'<rect width="{_WIDTH}" height="{top}" fill="#ffffff"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _kind(kind: Mapping[str, Any], top: int, per_ms: float) -> Iterator[str]:
    head = (
        f"{kind['start_kind']} start: median {kind['total']['p50_ms']:.0f} ms from submission to "
        f"the final write, {kind['attempts']} scans"
    )
    yield _text(8, top + 18, head, "bold")
    at = float(_LEFT)
    for row, phase in enumerate(kind["phases"]):
        y = top + 30 + row * _ROW
        width = phase["p50_ms"] * per_ms
        yield _text(_LEFT - 8, y + 12, phase["phase"], anchor="end")
        yield (
            f'<rect x="{at:.1f}" y="{y}" width="{max(width, 1):.1f}" height="14" '
            f'fill="{_COLOURS[phase["phase"]]}"/>'
        )
        yield _text(at + width + 6, y + 12, f"{phase['p50_ms']:.1f} ms")
        at += width


def _text(x: float, y: float, words: str, weight: str = "normal", anchor: str = "start") -> str:
    look = f'font-weight="{weight}" text-anchor="{anchor}" fill="#222222"'
    return f'<text x="{x:.1f}" y="{y}" {look}>{escape(words)}</text>'
