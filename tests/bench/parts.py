"""The figures of single parts: database, queue, leader, gateway, a container's runtime, start."""

import tempfile
from functools import partial
from pathlib import Path

from tests.bench.backlog import beside_backlogs
from tests.bench.backlog import rows as backlog_rows
from tests.bench.egress import connect_milliseconds, idle_megabytes, throughput
from tests.bench.fetch import gateway_cost
from tests.bench.runtime import runtime_cost
from tests.bench.start import rows as start_rows
from tests.bench.start import start_cost
from tests.bench.store import submits_per_second, transitions_per_second
from worker.sandbox.runtime import RUNSC

#: Each figure is seen when it is known, through a pipe too.
_print = partial(print, flush=True)


def main() -> None:
    """Run every measurement and print its figure at once."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rate = submits_per_second(root / "submit")
        _row("submits per second (SQLite and Valkey, one by one)", f"{rate:,.0f}")
        rate = transitions_per_second(root / "store")
        _row("claim-to-final transitions per second (SQLite)", f"{rate:,.0f}")
        for row in backlog_rows(*beside_backlogs(root / "backlog")):
            _row(*row)
        _gateway_rows(root)
        _runtime_rows(root)
        for row in start_rows(start_cost()):
            _row(*row)


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
    through_ms, straight_ms = connect_milliseconds(root / "connect")
    _row("to an open connection", f"{through_ms:.2f} ms ({straight_ms:.2f} without the gateway)")
    total_mb, _ = idle_megabytes(root / "idle")
    _row("gateway, 1,000 idle tunnels", f"{total_mb:.0f} MB")


def _runtime_rows(root: Path) -> None:
    costs = runtime_cost(root / "runtime")
    for name, cost in costs.items():
        _row(
            f"one container under {name}",
            f"{cost.container_ms:.0f} ms, of them {cost.start_ms:.0f} to start",
        )
    if RUNSC not in costs:
        _row(f"one container under {RUNSC}", "left out: the engine does not have it")
