"""The cost of gVisor for a scan: the same fetch in a container of runc and in one of runsc."""

from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from safeurl.settings import Settings
from safeurl.state import Outcome
from tests.support.gateway_sandbox import GatewaySandbox, gateway_sandbox
from tests.support.pages import PageServer, html
from tests.support.runtimes import engine_runtimes
from worker.sandbox.runtime import AUTO, RUNC, RUNSC, choose_runtime

_HOST = "127.0.0.1"
_PAGE = "<title>Bench</title><form><input type=password></form>" + "<p>words</p>" * 500
_ROUNDS = 12


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians over the rounds, in milliseconds."""

    #: From the request to create the container until it is removed.
    container_ms: float
    #: Of these, until Docker says that it has started.
    start_ms: float
    #: The fetcher's own time, after Python's start.
    fetch_ms: float


def runtime_cost(folder: Path) -> dict[str, Cost]:
    """Return each runtime's cost under the default caps; the rounds alternate.

    gVisor is left out if the engine does not have it.
    """
    defaults = Settings.read({})
    samples: dict[str, list[Cost]] = {RUNC: []}
    if choose_runtime(AUTO, "none", engine_runtimes()).name == RUNSC:
        samples[RUNSC] = []
    with (
        PageServer({"/": lambda _: html(_PAGE)}, host=_HOST) as pages,
        gateway_sandbox(folder, "bench-runtime", [f"{_HOST}/32"]) as made,
    ):
        caps = replace(
            made.settings,
            cpus=defaults.container_cpu_limit,
            memory_mb=defaults.container_memory_limit_mb,
            pids_limit=defaults.container_pids_limit,
        )
        for _ in range(_ROUNDS):
            for runtime, taken in samples.items():
                made.settings = replace(caps, runtime=runtime)
                taken.append(_sample(made, pages.url("/")))
    return {runtime: _median(taken) for runtime, taken in samples.items()}


def _sample(made: GatewaySandbox, url: str) -> Cost:
    ran = made.fetch(url, allow_cidrs=(f"{_HOST}/32",))
    assert ran.report is not None
    assert ran.report.outcome is Outcome.OK
    took_ms = ran.exit.timings_ms
    return Cost(sum(took_ms.values()), took_ms["start"], ran.report.elapsed_ms)


def _median(taken: list[Cost]) -> Cost:
    return Cost(
        median(cost.container_ms for cost in taken),
        median(cost.start_ms for cost in taken),
        median(cost.fetch_ms for cost in taken),
    )
