"""How the phases of scans look: a table with bars in a terminal, plain lines in a pipe."""

from collections.abc import Iterator
from typing import Final

from safeurl.cli.view.render import stamp
from safeurl.cli.view.screen import Cell, Screen
from safeurl.printable import counted
from safeurl.services.phase_figures import PathFigures, PhaseFigure, StartFigures
from safeurl.services.throughput import Throughput

_NAMES: Final = ("phase", "p50 ms", "p95 ms", "share")
#: The longest bar, in characters.
_BAR: Final = 32
#: The part of a block that an eighth of a character draws, by the number of eighths.
_EIGHTHS: Final = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
_FULL: Final = "█"


def print_phases(screen: Screen, figures: PathFigures, found: Throughput | None) -> None:
    """Print the figures of each kind of start, and what bounds the throughput."""
    if not figures.attempts or found is None or not (figures.first_at and figures.last_at):
        screen.line(
            "There is no scan yet that went the whole way from the submission to a verdict, with "
            "the times of its phases. Submit some URLs, and run this again."
        )
        return
    whole = counted(figures.attempts, "attempt")
    span = f"{stamp(figures.first_at)} to {stamp(figures.last_at)}"
    screen.line(f"{whole}, {span}; {figures.left_out:,} left out.")
    for kind in figures.kinds:
        if screen.is_terminal:
            _print_chart(screen, kind)
    if not screen.is_terminal:
        screen.tabbed([("start", *_NAMES), *(row for kind in figures.kinds for row in _rows(kind))])
    _print_throughput(screen, found)


def _print_chart(screen: Screen, kind: StartFigures) -> None:
    attempts = counted(kind.attempts, "attempt")
    screen.line()
    screen.line((f"{kind.start_kind} start", "bold"), f", {attempts}")
    rows: list[tuple[Cell, ...]] = [
        (*_cells(phase), (_bar(phase.share, has_blocks=screen.has_blocks), "cyan"))
        for phase in kind.phases
    ]
    total = tuple((cell, "bold") for cell in _cells(kind.total))
    screen.table((*_NAMES, ""), [*rows, (*total, "")])


def _cells(figure: PhaseFigure) -> tuple[str, str, str, str]:
    """Return a row whose numbers are aligned."""
    p50, p95 = f"{figure.p50_ms:>10,.1f}", f"{figure.p95_ms:>10,.1f}"
    return figure.phase, p50, p95, f"{figure.share:>5.0%}"


def _bar(share: float, *, has_blocks: bool) -> str:
    """Return a bar for a part of the total."""
    if not has_blocks:
        return "#" * round(share * _BAR)
    full, eighths = divmod(round(share * _BAR * 8), 8)
    return _FULL * full + _EIGHTHS[eighths]


def _rows(kind: StartFigures) -> Iterator[tuple[str, ...]]:
    for figure in (*kind.phases, kind.total):
        times = (f"{figure.p50_ms:.2f}", f"{figure.p95_ms:.2f}")
        yield kind.start_kind, figure.phase, *times, f"{figure.share:.3f}"


def _print_throughput(screen: Screen, found: Throughput) -> None:
    if screen.is_terminal:
        screen.line()
    screen.line(
        f"throughput: {found.scans_per_s:.2f} scans a second, {found.at_once:.1f} of {found.slots} "
        "at a time, over the whole time"
    )
    for limit in found.limits:
        screen.line(f"limit: {limit.part} {limit.scans_per_s:.1f} scans a second ({limit.basis})")
    for finding in found.findings:
        screen.line((f"{finding.part}: ", "bold"), f"{finding.text} {finding.advice}")
