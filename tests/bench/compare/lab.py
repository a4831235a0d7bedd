"""What all ways of opening a page share: the page, the caps, the meter, and the clean-up."""

import contextlib
import multiprocessing
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import quantiles
from typing import Protocol

from safeurl.settings import Settings
from tests.bench.compare.accounting import Meter, Usage
from tests.support.images import SOCKET_PATH, docker_client
from tests.support.pages import PageServer, html

#: Everything that the bench makes in the engine has it; the value tells whose it is.
LABEL = "safeurl.bench"
#: The most that a pool keeps at SafeURL's default concurrency.
RUN_UP = 10
_SWEEPS, _SWEEP_PAUSE_S = 3, 0.3
_PAGE = "<title>Bench</title><form><input type=password></form>" + "<p>words</p>" * 500


@dataclass(slots=True, kw_only=True)
class Sample:
    """What one way did in one round."""

    scans: int
    #: Scans that did not give the page's report.
    lost: int = 0
    per_second: float
    #: From the start or submit of each scan to its end.
    latencies_ms: list[float] = field(default_factory=list)
    cpu: Usage | None = None
    took_s: float = 0.0
    #: How many of the scans found a sandbox that was started ahead; None where there is no pool.
    warm: int | None = None
    #: By how many sandboxes the pool was larger at the end; their start is in the CPU time, too.
    grown: int = 0
    #: SafeURL's own part of each latency: all but the fetch.
    overheads_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """The page and the limits of one run under one runtime."""

    folder: Path
    url: str
    #: The host's address on the bridge, where the page is.
    host: str
    runtime: str
    meter: Meter
    defaults: Settings
    #: A folder with a socket of a gateway that lets through to the page, for sandboxes that have
    #: no network: those of gVisor.
    egress_dir: Path | None = None

    @property
    def caps(self) -> list[str]:
        """The options of `docker run` with the limits that SafeURL gives its sandboxes."""
        memory = f"{self.defaults.container_memory_limit_mb}m"
        return [
            *("--label", f"{LABEL}=rival", "--runtime", self.runtime),
            *("--memory", memory, "--memory-swap", memory),
            *("--cpus", str(self.defaults.container_cpu_limit)),
            *("--pids-limit", str(self.defaults.container_pids_limit)),
            *("--read-only", "--tmpfs", "/tmp:noexec,nosuid,nodev,size=16m"),  # noqa: S108 - a path in the container
            *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            *("--user", "65534:65534", "--log-driver", "none"),
        ]


class Way(Protocol):
    """One way to open pages, at one number of scans at a time."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    @property
    def parallel(self) -> int:
        """How many scans it has open at the same time."""

    def run(self, lab: Lab, scans: int) -> Sample:
        """Open the page so many times and return the times."""


def sustained(ends_s: list[float]) -> float:
    """Return the rate between an early end and the last one, without the run-up; NaN for none.

    What was started ahead must not count as speed, so as many as a pool may hold are left out.
    """
    ends = sorted(ends_s)
    first = min(RUN_UP, len(ends) // 3)
    took = ends[-1] - ends[first] if len(ends) > 1 else 0.0
    return (len(ends) - 1 - first) / took if took else float("nan")


def p50_p95(values: list[float]) -> tuple[float, float]:
    """Return the median and the 95th percentile; NaN for no values."""
    if len(values) < 2:
        only = values[0] if values else float("nan")
        return only, only
    cuts = quantiles(values, n=20, method="inclusive")
    return cuts[9], cuts[18]


@contextmanager
def page_process(host: str) -> Iterator[tuple[str, int]]:
    """Serve the page from a separate process; yield its URL and the process."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=_serve, args=(host, theirs), daemon=True
    )
    process.start()
    theirs.close()
    try:
        yield str(ours.recv()), process.pid or 0
    finally:
        ours.close()
        process.join(timeout=5)
        process.kill()


def _serve(host: str, ready: Connection) -> None:
    # Ctrl-C is for the parent, which then closes the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with PageServer({"/": lambda _: html(_PAGE)}, host=host) as pages:
        ready.send(pages.url("/"))
        with contextlib.suppress(EOFError, OSError):
            ready.recv()


def remove_leftovers() -> None:
    """Remove all containers and images that carry the bench's label."""
    with docker_client() as client:
        # Again, since a client that was just ended may have asked for one more.
        for _ in range(_SWEEPS):
            for container in client.containers.list(
                all=True, filters={"label": LABEL}, ignore_removed=True
            ):
                # Its own `--rm` may be quicker.
                with contextlib.suppress(Exception):
                    container.remove(force=True)
            time.sleep(_SWEEP_PAUSE_S)
        for image in client.images.list(filters={"label": LABEL}):
            client.images.remove(image.id, force=True)


def docker(*arguments: str) -> str:
    """Run a command of the Docker client and return its output."""
    command = ["docker", "-H", f"unix://{SOCKET_PATH}", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def ignored(action: Callable[[], object]) -> None:
    """Run a step of the clean-up whatever happened to the others."""
    with contextlib.suppress(Exception):
        action()
