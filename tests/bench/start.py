"""What the fetcher's start costs, in CPU time: the interpreter, the imports, the preloading."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import cast

from safeurl.settings import Settings
from tests.support.images import docker_client

_ROUNDS = 30
#: Runs in the image. Each way starts as the image does, gets no request and ends; the rounds
#: alternate. It prints the CPU milliseconds of every process, those of its children included.
_SCRIPT = """
import json, os, sys
rounds, ways = json.loads(sys.argv[1])
taken = {name: [] for name in ways}
for _ in range(rounds):
    for name, command in ways.items():
        child = os.fork()
        if child == 0:
            nothing = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nothing, stream)
            os.execvp(command[0], command)
        usage = os.wait4(child, 0)[2]
        taken[name].append(1000 * (usage.ru_utime + usage.ru_stime))
print(json.dumps(taken))
"""
_PYTHON = ("python3", "-I", "-S", "-B")


@dataclass(frozen=True, slots=True)
class StartCost:
    """Medians of CPU milliseconds; each includes the ones before it."""

    interpreter_ms: float
    #: Until the fetcher has loaded all that a page without TLS needs.
    started_ms: float
    #: Until a fetcher with `--preload` has loaded everything and rehearsed a fetch.
    preloaded_ms: float


def start_cost() -> StartCost:
    """Return the cost of the three ways, measured in one container of the fetcher's image."""
    image = Settings.read({}).fetcher_image
    with docker_client() as client:
        config = client.images.get(image).attrs["Config"]
        entry = cast("list[str]", config["Entrypoint"])
        ways = {
            "interpreter": [*_PYTHON, "-c", "import os; os._exit(0)"],
            "started": entry,
            "preloaded": [*entry, "--preload"],
        }
        printed = client.containers.run(
            image,
            ["-c", _SCRIPT, json.dumps([_ROUNDS, ways])],
            entrypoint=list(_PYTHON),
            network_mode="none",
            labels={"safeurl.managed": "bench-start"},
            remove=True,
        )
    taken = cast("Mapping[str, list[float]]", json.loads(printed))
    return StartCost(**{f"{name}_ms": median(figures) for name, figures in taken.items()})


def rows(cost: StartCost) -> list[tuple[str, str]]:
    """Return the rows of the bench: what each step adds."""
    return [
        ("CPU of the bare interpreter in the fetcher's image", f"{cost.interpreter_ms:.0f} ms"),
        ("  the fetcher's imports", f"{cost.started_ms - cost.interpreter_ms:+.0f} ms"),
        ("  --preload", f"{cost.preloaded_ms - cost.started_ms:+.0f} ms"),
    ]
