"""The figures as tables: for a terminal, and as markdown for docs/."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.compare.lab import p50_p95
from tests.bench.compare.machine import Machine
from tests.bench.compare.results import COLD, FLOOR, LOOP, TUTORIAL, WARM, Row, Table
from tests.bench.compare.safeurl import Steady

_PARTS = ("client", "engine", "runtime", "sandbox")
_NONE = "–"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of text; the first column is a name, the others are figures."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def text(self) -> str:
        """Return it for a terminal."""
        lines = [self.head, *self.rows]
        widths = [max(len(line[n]) for line in lines) for n in range(len(self.head))]
        drawn = [
            "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
            for line in lines
        ]
        return "\n".join([self.title, drawn[0], "-" * len(drawn[0]), *drawn[1:]])

    def markdown(self) -> str:
        """Return it for a page."""
        head = "| " + " | ".join(self.head) + " |"
        rule = "|" + "---|" + "---:|" * (len(self.head) - 1)
        body = ["| " + " | ".join(row) + " |" for row in self.rows]
        return "\n".join([f"### {self.title}", "", head, rule, *body])


def grids(table: Table) -> list[Grid]:
    """Return the tables of one runtime."""
    made = [_throughput(table), _latency(table), _rest(table), _ratios(table)]
    return [grid for grid in made if grid.rows]


def _throughput(table: Table) -> Grid:
    head = ("way", "scans/s", "lowest–highest", "CPU ms/scan", *_PARTS, "whole machine")
    rows = [
        (
            row.name,
            f"{row.per_second:.2f}",
            f"{min(row.rates):.2f}–{max(row.rates):.2f}",
            _number(row.cpu_ms),
            *(_number(row.part_ms(part)) for part in _PARTS),
            _number(row.machine_cpu_ms),
        )
        for row in table.rows
        if row.samples
    ]
    return Grid(f"As many as possible ({table.runtime})", head, tuple(rows))


def _latency(table: Table) -> Grid:
    head = ("way", "p50 ms", "p95 ms", "MB at rest", "MB per scan", "lost")
    singles = [row for kind in (LOOP, TUTORIAL, FLOOR) if (row := table.single(kind))]
    rows = [
        (
            f"{row.name}, {steady.per_second:.2f} per second",
            *_numbers(p50_p95(steady.sample.latencies_ms)),
            *_memory(row),
            str(steady.sample.lost),
        )
        for kind, steady in table.steady.items()
        if (row := table.best(kind))
    ]
    rows += [(row.name, *_numbers(row.latency_ms), *_memory(row), str(row.lost)) for row in singles]
    return Grid(f"Below capacity, submit to final or one turn ({table.runtime})", head, tuple(rows))


def _rest(table: Table) -> Grid:
    rows: list[tuple[str, ...]] = []
    kinds = [kind for kind in (WARM, COLD) if kind in table.steady]
    steadies = [table.steady[kind] for kind in kinds]
    if steadies:
        rows = [
            ("submit to final without the fetch, p50 / p95 ms", *map(_overhead, steadies)),
            ("scans that found a sandbox ready", *map(_hits, steadies)),
            ("at rest: sandboxes ready", *(str(each.rest.ready) for each in steadies)),
            (
                "at rest: memory of all processes, MB",
                *(_number(each.rest.pss_mb) for each in steadies),
            ),
            ("at rest: CPU, % of one core", *(f"{each.rest.cores:.2%}" for each in steadies)),
            ("sandboxes ready before a burst", *(_number(each.ready) for each in steadies)),
            (
                "as many again after its last scan, s",
                *(_seconds(each.refill_s) for each in steadies),
            ),
        ]
    head = ("SafeURL by itself", *kinds)
    return Grid(f"SafeURL's own parts ({table.runtime})", head, tuple(rows))


def _ratios(table: Table) -> Grid:
    rows = [
        (name, _NONE if ratio is None else f"{ratio:.2f} (1/{1 / ratio:.1f})")
        for name, ratio in table.ratios()
    ]
    ours = table.best(WARM) or table.best(COLD)
    title = f"{ours.name if ours else 'SafeURL'} beside its rivals ({table.runtime})"
    return Grid(title, ("ratio", "of this run"), tuple(rows))


def text(tables: Sequence[Table], machine: Machine) -> str:
    """Return everything for a terminal."""
    parts = [grid.text() for table in tables for grid in grids(table)]
    return "\n\n".join([*parts, "\n".join([*_left_out(tables), *machine.lines()])])


def markdown(tables: Sequence[Table], machine: Machine, picture: str) -> str:
    """Return the page for docs/."""
    parts = [grid.markdown() for table in tables for grid in grids(table)]
    facts = "\n".join(f"- {line}" for line in [*machine.lines(), *_left_out(tables)])
    return (
        "\n\n".join(
            ["# Benchmark", _INTRODUCTION, f"![The figures as bars]({picture})", facts, *parts]
        )
        + "\n"
    )


def _left_out(tables: Sequence[Table]) -> list[str]:
    return [f"left out ({table.runtime}): {each}" for table in tables for each in table.left_out]


def _memory(row: Row) -> tuple[str, str]:
    found = row.memory_mb
    return (_NONE, _NONE) if found is None else (_number(found[0]), _number(found[1]))


def _overhead(steady: Steady) -> str:
    return " / ".join(_numbers(p50_p95(steady.sample.overheads_ms)))


def _hits(steady: Steady) -> str:
    warm = steady.sample.warm
    return _NONE if warm is None else f"{warm / steady.sample.scans:.1%}"


def _seconds(value: float | None) -> str:
    return _NONE if value is None else f"{value:.1f}"


def _numbers(values: tuple[float, ...]) -> tuple[str, ...]:
    return tuple(map(_number, values))


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.0f}"


_INTRODUCTION = """\
`bash tests/bench/run.sh --write-docs` writes this page. All ways open the same page of the same
server with the same limits of memory, CPU and processes; they take turns, and each figure is the
median of the rounds. Nothing is asserted.

- **SafeURL** scans with its default concurrency: *warm* with sandboxes that are started ahead
  (`POOL_SIZE=auto`), *cold* without (`POOL_SIZE=0`). Its figures have all in them: database,
  queue, gateway, analysis, audit trail.
- **docker run --rm** is a shell loop (`xargs -P`) with SafeURL's fetcher image on Docker's
  bridge.
- **RQ job** is what tutorials write: workers whose job calls `client.containers.run()` on an
  image with requests and BeautifulSoup.
- **runc alone** is the floor: the fetcher's image without an engine and without a network of its
  own.

Scans per second are counted from the tenth end to the last one (with few scans: from the first
third on), so that sandboxes which were ready before do not count as speed. CPU is that of
clients, engine (dockerd and containerd), runtime (shims and runc) and sandboxes; refilling the
pool is in it. *Whole machine* has the kernel's own work, the page server and everybody else in
it, too. Memory is the proportional set size of clients, shims and sandboxes. Below its capacity,
SafeURL gets 0.6 of the scans per second that it can do, at even distances."""
