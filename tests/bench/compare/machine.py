"""What the figures were measured on, and how busy that was."""

import os
import platform
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

from tests.bench.compare.accounting import Meter, machine_seconds
from tests.support.images import docker_client

_LOOK_S = 3.0


@dataclass(slots=True)
class Machine:
    """The machine, the command, and the load before and during the run."""

    command: str
    meter: Meter
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    load_before: tuple[float, float, float] = field(default_factory=os.getloadavg)
    cores_before: float = field(init=False)

    def __post_init__(self) -> None:
        """Look how busy it is before anything is measured."""
        used, began_s = machine_seconds(), time.monotonic()
        time.sleep(_LOOK_S)
        self.cores_before = (machine_seconds() - used) / (time.monotonic() - began_s)

    def lines(self) -> list[str]:
        """Return the facts as sentences."""
        took_min = (datetime.now(UTC) - self.began).total_seconds() / 60
        load = f"load {self.load_before[0]:.1f} before and {os.getloadavg()[0]:.1f} after"
        return [
            f"command: {self.command}; {self.began:%Y-%m-%d %H:%M} UTC, {took_min:.1f} minutes",
            f"machine: {_hardware()}; {_software()}",
            f"how busy: {load}; {self.cores_before:.2f} cores in use before; {self._others()}",
        ]

    def _others(self) -> str:
        if self.meter.missing:
            return f"others' CPU is not known: cannot read {', '.join(self.meter.missing)}"
        elapsed = sum(each.elapsed for each in self.meter.watched)
        others = sum(each.others or 0.0 for each in self.meter.watched)
        cores = others / elapsed if elapsed else 0.0
        return f"others and the kernel's threads used {cores:.2f} cores during the measurements"


def _hardware() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2] for line in lines if line.startswith("model name")), "")
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores ({' '.join(model.split())}), {memory:.0f} GiB"


def _software() -> str:
    with docker_client() as client:
        version = client.version()["Version"]
        cgroup = client.info().get("CgroupVersion", "1")
    return f"Linux {platform.release()}, Docker Engine {version}, cgroup v{cgroup}"
