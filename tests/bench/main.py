"""The bench: how fast scans are taken in, moved and run, as figures beside a rival's.

Every figure is a ratio or a rate of this run; nothing is asserted. The rival is what people do
without SafeURL: a shell loop around `docker run --rm` of the same image with the same caps.
"""

import sys
import tempfile
from functools import partial
from pathlib import Path

from tests.bench.backlog import beside_backlogs
from tests.bench.backlog import rows as backlog_rows
from tests.bench.egress import idle_megabytes, throughput
from tests.bench.fetch import gateway_cost
from tests.bench.rival import shell_loop
from tests.bench.runtime import runtime_cost
from tests.bench.store import submits_per_second, transitions_per_second
from tests.bench.system import whole_system
from tests.support.pages import PageServer, html
from tests.support.system import bridge_gateway
from worker.sandbox.runtime import RUNSC

_PAGE = "<title>Bench</title><form><input type=password></form>" + "<p>words</p>" * 500

#: Each figure is seen when it is known, through a pipe too.
_print = partial(print, flush=True)


def main() -> None:
    """Run every measurement and print its figure as soon as it is known."""
    scans = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with (
        tempfile.TemporaryDirectory() as folder,
        PageServer({"/": lambda _: html(_PAGE)}, host=bridge_gateway()) as pages,
    ):
        root = Path(folder)
        _print(f"SafeURL bench, {scans} scans")
        rate = submits_per_second(root / "submit")
        _row("submits per second (SQLite and Valkey, one by one)", f"{rate:,.0f}")
        rate = transitions_per_second(root / "store")
        _row("claim-to-final transitions per second (SQLite)", f"{rate:,.0f}")
        for row in backlog_rows(*beside_backlogs(root / "backlog")):
            _row(*row)
        ours = whole_system(root / "system", pages.url("/"), scans)
        _row("scans per second, whole system, concurrency 5", f"{ours.per_second:.2f}")
        _row("submit to final, p50 / p95, all submitted at once", ours.queued_ms)
        _row("submit to final, p50 / p95, one after another", ours.single_ms)
        for parallel in (1, 5):
            rival, lost = shell_loop(pages.url("/"), scans, parallel)
            figure = f"{rival:.2f} ({lost} lost)"
            _row(f"shell loop of docker run --rm, {parallel} at a time", figure)
            _row("  SafeURL against it", f"{ours.per_second / rival:.2f} times as many")
        _gateway_rows(root)


def _row(measurement: str, figure: str) -> None:
    _print(f"{measurement:<52} {figure}")


def _gateway_rows(root: Path) -> None:
    direct_ms, gateway_ms = gateway_cost(root / "fetch")
    _row("fetch of 1 MiB, straight from the bridge", f"{direct_ms:.0f} ms")
    _row(
        "fetch of 1 MiB, through the gateway",
        f"{gateway_ms:.0f} ms ({gateway_ms / direct_ms - 1:+.0%})",
    )
    moved = throughput(root / "throughput")
    _row(
        "gateway, 200 tunnels on loopback",
        f"{moved.gbit_per_s:.1f} Gbit/s with {moved.gateway_cores:.2f} cores "
        f"({moved.direct_gbit_per_s:.1f} without it)",
    )
    costs = runtime_cost(root / "runtime")
    for name, cost in costs.items():
        _row(
            f"one container under {name}",
            f"{cost.container_ms:.0f} ms, of them {cost.start_ms:.0f} to start",
        )
    if RUNSC not in costs:
        _row(f"one container under {RUNSC}", "left out: the engine does not have it")
    total_mb, _ = idle_megabytes(root / "idle")
    _row("gateway, 1,000 idle tunnels", f"{total_mb:.0f} MB")


if __name__ == "__main__":
    main()
