"""The figures of growth: `bash tests/bench/growth.sh`. Nothing is asserted.

The parts are `drain` (a long queue), `million` (stored scans), `crowd` (workers on one database)
and `real` (a long queue with real sandboxes, which needs the engine).
"""

import argparse
import os
import platform
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tests.bench.growth import crowd, drain, million
from tests.bench.growth.real import real_rates
from tests.bench.growth.simulated import p50_p99
from tests.support.fetching import ROOT

#: Each figure is seen when it is known, through a pipe too.
_print = partial(print, flush=True)
_PAGE = ROOT / "docs" / "operations.md"
_BEGIN, _END = "<!-- begin growth -->\n", "<!-- end growth -->"
_WORKERS = 64
#: Mean time of a sandbox in the crowd that does not only write.
_PAUSE_S = 2.0


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bash tests/bench/growth.sh", description="Measures how SafeURL grows."
    )
    parser.add_argument("parts", nargs="*", help="drain, million, crowd, real (default: all)")
    parser.add_argument("--quick", action="store_true", help="a fifth of the scans, or less")
    parser.add_argument("--queued", type=int, help="scans in the queue (default 50,000)")
    parser.add_argument("--stored", type=int, help="stored scans (default 1,000,000)")
    parser.add_argument(
        "--database",
        type=Path,
        metavar="FILE",
        help="keep the large database here, and use it again",
    )
    parser.add_argument(
        "--write-docs", action="store_true", help="write the table of docs/operations.md"
    )
    given = parser.parse_args(argv)
    given.queued = given.queued or (10_000 if given.quick else 50_000)
    given.stored = given.stored or (100_000 if given.quick else 1_000_000)
    given.parts = given.parts or list(_PARTS)
    if unknown := set(given.parts) - set(_PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return given


def _drain(folder: Path, given: argparse.Namespace) -> None:
    found = drain.drain(folder, given.queued)
    _row("scans queued, then drained without sandboxes", f"{found.scans:,}")
    _row("submitted per second, 1,000 at a time", f"{found.scans / found.submit_s:,.0f}")
    _row(f"drained per second, the first {found.part:,}", f"{found.first:,.1f}")
    change = found.last / found.first - 1
    _row(f"drained per second, the last {found.part:,}", f"{found.last:,.1f} ({change:+.1%})")
    change = found.last_per_cpu_s / found.first_per_cpu_s - 1
    both = f"{found.first_per_cpu_s:,.1f} and {found.last_per_cpu_s:,.1f}"
    _row("the same per CPU second", f"{both} ({change:+.1%})")
    _row("what bounds it", f"one process of Python, {found.cores:.2f} cores in use")


def _million(folder: Path, given: argparse.Namespace) -> None:
    rounds = 100 if given.quick else 500
    found = million.costs(folder, few=1_000, many=given.stored, rounds=rounds, kept=given.database)
    built = "" if found.build_s is None else f", built in {found.build_s:.0f} s"
    _row("database", f"{found.many:,} scans, {found.size_mb:,.0f} MB{built}")
    for name in million.CALLS:
        few, many = found.medians_ms[name]
        used_few, used_many = found.cpu_ms[name]
        slow = "p95 {:.2f} and {:.2f}".format(*found.p95_ms[name])
        used = f"CPU {used_few:.2f} and {used_many:.2f} ({used_many / used_few - 1:+.1%})"
        figure = f"{few:.2f} and {many:.2f} ms ({many / few - 1:+.1%}); {slow}; {used}"
        _row(f"{name}, {found.few:,} and {found.many:,} stored", figure)


def _crowd(folder: Path, given: argparse.Namespace) -> None:
    seconds = 8.0 if given.quick else 20.0
    for database, run in (("sqlite", crowd.on_sqlite), ("sqld", crowd.on_sqld)):
        for pause_s in (_PAUSE_S, 0.0):
            place = folder / f"{database}-{pause_s:.0f}"
            place.mkdir()
            found = run(place, _WORKERS, seconds, pause_s)
            load = f"scans of {pause_s:.0f} s" if pause_s else "nothing but writes"
            _row(
                f"{found.workers} workers on {found.database}, {load}",
                f"{found.per_second:,.1f} scans/s",
            )
            for name, took in (("claim", found.took.claim_ms), ("finish", found.took.finish_ms)):
                _row(f"  {name}, p50 / p99", p50_p99(took))
            cores = f"{found.worker_cores:.2f}, {found.server_cores:.2f}, {found.machine_cores:.2f}"
            _row("  cores: workers, server, whole machine", cores)
            _row("  what bounds it", found.bound(os.cpu_count() or 1))


def _real(folder: Path, given: argparse.Namespace) -> None:
    found = real_rates(folder, given.queued, 20 if given.quick else 60)
    _row("real scans per second, short queue", f"{found.short:.2f}")
    change = found.long / found.short - 1
    _row(f"the same before {found.queued:,} queued", f"{found.long:.2f} ({change:+.1%})")


_PARTS: dict[str, Callable[[Path, argparse.Namespace], None]] = {
    "drain": _drain,
    "million": _million,
    "crowd": _crowd,
    "real": _real,
}


#: What the page gets.
_rows: list[tuple[str, str]] = []


def _row(measurement: str, figure: str) -> None:
    _print(f"{measurement:<52} {figure}")
    _rows.append((measurement.strip(), figure))


def _write_page(facts: str) -> None:
    """Replace the table in the page, between its two marks."""
    text = _PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise LookupError(f"{_PAGE.name} has no place for the table")
    lines = [facts, "", "| Measurement | Figure |", "|---|---|"]
    lines += [f"| {measurement} | {figure} |" for measurement, figure in _rows]
    _PAGE.write_text(before + _BEGIN + "\n".join(lines) + "\n" + end + after, encoding="utf-8")


def main() -> None:
    """Measure the parts that the command line names."""
    given = _arguments(sys.argv[1:])
    # SIGTERM cleans up as Ctrl-C does, which a shell's background jobs would ignore.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    command = shlex.join(["bash", "tests/bench/growth.sh", *sys.argv[1:]])
    where = f"{os.cpu_count()} cores, Linux {platform.release()}"
    load = os.getloadavg()[0]
    _print(f"{command}; {where}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    for part in given.parts:
        with tempfile.TemporaryDirectory() as name:
            _print(f"\n{part}, load {os.getloadavg()[0]:.1f}")
            _PARTS[part](Path(name), given)
    busy = f"Load {load:.1f} before and {os.getloadavg()[0]:.1f} after."
    _print(f"\n{busy}")
    if given.write_docs:
        _write_page(f"Measured by `{command}` on {where}, {datetime.now(UTC):%Y-%m-%d}. {busy}")


if __name__ == "__main__":
    main()
