"""The bench: `bash tests/bench/run.sh`. Figures beside those of rivals, and never asserted.

Without `--parts` it compares SafeURL with what people do without it, all in one run.
"""

import argparse
import json
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from tests.bench import parts
from tests.bench.compare import report
from tests.bench.compare.accounting import open_meter
from tests.bench.compare.chart import chart
from tests.bench.compare.lab import remove_leftovers
from tests.bench.compare.machine import Machine
from tests.bench.compare.run import FULL, QUICK, Plan, compare, runtimes
from tests.support.fetching import ROOT

_DOCS = ROOT / "docs"
_PAGE, _PICTURE = "benchmark.md", "benchmark.svg"

#: Each figure is seen when it is known, through a pipe too.
_print = partial(print, flush=True)


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bash tests/bench/run.sh",
        description="Measures SafeURL beside `docker run`, a tutorial's job and runc. Nothing is "
        "asserted.",
    )
    parser.add_argument("--quick", action="store_true", help="a short run, under four minutes")
    parser.add_argument("--rounds", type=int, help="rounds under runc (default 3; quick 1)")
    parser.add_argument(
        "--scans", type=int, help="scans of a way in a round (default 54; quick 24)"
    )
    parser.add_argument(
        "--runtime", action="append", choices=("runc", "runsc"), help="only under this runtime"
    )
    parser.add_argument(
        "--random-arrivals", action="store_true", help="below capacity: pauses of random length"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")
    parser.add_argument(
        "--write-docs", action="store_true", help=f"write docs/{_PAGE} and docs/{_PICTURE}"
    )
    parser.add_argument(
        "--parts", action="store_true", help="measure parts by themselves: database, gateway, …"
    )
    return parser.parse_args(argv)


def _plan(given: argparse.Namespace) -> Plan:
    plan = QUICK if given.quick else FULL
    changes = {name: getattr(given, name) for name in ("rounds", "scans") if getattr(given, name)}
    return replace(plan, is_random=given.random_arrivals, **changes)


def _compare(given: argparse.Namespace) -> None:
    began = time.monotonic()

    def say(line: str) -> None:
        _print(f"[{time.monotonic() - began:4.0f} s] {line}", file=sys.stderr)

    with open_meter() as meter:
        machine = Machine(shlex.join(["bash", "tests/bench/run.sh", *sys.argv[1:]]), meter)
        chosen = [each for each in runtimes() if given.runtime is None or each in given.runtime]
        tables = [compare(runtime, _plan(given), meter, say) for runtime in chosen]
        _print(report.text(tables, machine))
        if given.json:
            facts = {"machine": machine.lines(), "tables": [each.as_json() for each in tables]}
            facts["watched"] = [asdict(each) for each in meter.watched]
            given.json.write_text(json.dumps(facts, indent=1, default=str), encoding="utf-8")
        if given.write_docs:
            page = report.markdown(tables, machine, _PICTURE)
            (_DOCS / _PAGE).write_text(page, encoding="utf-8")
            (_DOCS / _PICTURE).write_text(chart(tables), encoding="utf-8")


def main() -> None:
    """Run what the command line asks for; whatever ends it, remove what it made."""
    given = _arguments(sys.argv[1:])
    # SIGTERM cleans up as Ctrl-C does, which a shell's background jobs would ignore.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    if given.parts:
        parts.main()
        return
    remove_leftovers()
    try:
        _compare(given)
    except KeyboardInterrupt:
        _print("Interrupted.", file=sys.stderr)
        sys.exit(130)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        remove_leftovers()


if __name__ == "__main__":
    main()
