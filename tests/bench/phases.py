"""Measures the phases of scans below capacity: `python -m tests.bench.phases [--write-docs]`.

A worker of its own scans a small page on this host, one scan after the other. With `--write-docs`
the table and the picture of docs/performance.md are made from this run.
"""

import argparse
import json
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from safeurl.service import Service
from safeurl.services.submit import Submission
from tests.bench.phase_chart import chart
from tests.support.documents import DOCS
from tests.support.pages import PageServer, html
from tests.support.system import RunningWorker, System

#: Scans before the figures: the first ones load files into memory.
_WARM_UP = 5
#: Between two scans, so that the sandbox of the first one is removed and another one is started.
_PAUSE_S = 1.0
_LONGEST_S = 60.0
_PAGE, _PICTURE = DOCS / "performance.md", DOCS / "phases.svg"
#: The last section of the page, which is written anew.
_HEAD = "## Measured"
#: Settings for each kind of start.
_SETTINGS: Mapping[str, Mapping[str, str]] = {
    "warm": {"POOL_SIZE": "2"},
    "cold": {"POOL_SIZE": "0"},
}


def measure(start_kind: str, scans: int) -> Mapping[str, Any]:
    """Return the figures of one kind of start, as `safeurl bench --json` prints them."""
    # Any: a JSON document.
    settings = {"EGRESS_ALLOW_CIDRS": "127.0.0.1/32", **_SETTINGS[start_kind]}
    with (
        tempfile.TemporaryDirectory(prefix="phases-") as folder,
        PageServer({"/": lambda _: html("<title>Hello</title><p>quiet</p>")}) as pages,
    ):
        system = System(Path(folder), **settings)
        with RunningWorker(system):
            for number in range(_WARM_UP + scans):
                time.sleep(_PAUSE_S)
                system.wait_final([_submit(system, pages.url(f"/?n={number}"))], _LONGEST_S)
        shown = system.run("bench", "--last", str(scans), "--json")
    kinds: Mapping[str, Mapping[str, Any]] = {
        kind["start_kind"]: kind for kind in json.loads(shown.stdout)["kinds"]
    }
    return kinds[start_kind]


def _submit(system: System, url: str) -> str:
    async def act(service: Service) -> Submission:
        return await service.submit([url], source="bench")

    return system.with_service(act).scans[0].id


def table(kinds: Sequence[Mapping[str, Any]]) -> str:
    """Return the figures as a table of Markdown."""
    rows = [
        f"| {kind['start_kind']} | `{phase['phase']}` | {phase['p50_ms']:.1f} | "
        f"{phase['p95_ms']:.1f} | {phase['share']:.0%} |"
        for kind in kinds
        for phase in (*kind["phases"], kind["total"])
    ]
    head = ["| Start | Phase | p50 ms | p95 ms | Share |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows])


def machine(load: tuple[float, float]) -> str:
    """Return where and when the figures were measured, and what else the machine did."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    model = cpu[1] if cpu else platform.machine()
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with `python -m tests.bench.phases` on "
        f"{os.cpu_count()} processors ({model}), Linux {platform.release()}. The load was "
        f"{load[0]:.1f} before and {load[1]:.1f} after the run."
    )


def write_docs(kinds: Sequence[Mapping[str, Any]], where: str) -> None:
    """Replace the picture, and the last section of the page."""
    _PICTURE.write_text(chart(kinds), encoding="utf-8")
    page, _, _ = _PAGE.read_text(encoding="utf-8").partition(_HEAD)
    picture = f"![The phases of a scan, one after the other]({_PICTURE.name})"
    said = "\n\n".join((where, picture, table(kinds)))
    _PAGE.write_text(f"{page.rstrip()}\n\n{_HEAD}\n\n{said}\n", encoding="utf-8")


def main() -> None:
    """Measure, print the figures, and write them where that was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.phases")
    parser.add_argument("--scans", type=int, default=100, help="scans of each kind of start")
    parser.add_argument("--write-docs", action="store_true", help="write them to docs/")
    given = parser.parse_args()
    before = os.getloadavg()[0]
    kinds = [measure(start_kind, given.scans) for start_kind in _SETTINGS]
    where = machine((before, os.getloadavg()[0]))
    sys.stdout.write(f"{where}\n\n{table(kinds)}\n")
    if given.write_docs:
        write_docs(kinds, where)


if __name__ == "__main__":
    main()
