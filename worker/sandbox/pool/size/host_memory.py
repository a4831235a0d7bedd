"""What the kernel says about the memory of the host."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_AVAILABLE: Final = re.compile(r"^MemAvailable:\s+(\d+) kB$", re.MULTILINE)
_FULL: Final = re.compile(r"^full avg10=(\d+\.\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class HostMemory:
    """The memory that is available, and how much the host lacks."""

    available_mb: int
    #: Percent of the last 10 seconds in which every task waited for memory.
    pressure: float


def read_memory(proc: Path = Path("/proc")) -> HostMemory:
    """Read both; a kernel without pressure information counts as one without pressure.

    A service manager may hide the files; then only memory that is not used for anything counts.
    """
    try:
        available = _AVAILABLE.search((proc / "meminfo").read_text(encoding="ascii"))
    except OSError:
        available = None
    try:
        pressure = _FULL.search((proc / "pressure/memory").read_text(encoding="ascii"))
    except OSError:
        pressure = None
    return HostMemory(
        available_mb=int(available[1]) // 1024 if available else _free_mb(),
        pressure=float(pressure[1]) if pressure else 0.0,
    )


def _free_mb() -> int:
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20
