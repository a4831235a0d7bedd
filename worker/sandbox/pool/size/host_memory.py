"""What the kernel says about the memory of the host."""

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
    """Read both; a kernel without pressure information counts as one without pressure."""
    available = _AVAILABLE.search((proc / "meminfo").read_text(encoding="ascii"))
    try:
        pressure = _FULL.search((proc / "pressure/memory").read_text(encoding="ascii"))
    except OSError:
        pressure = None
    return HostMemory(
        available_mb=int(available[1]) // 1024 if available else 0,
        pressure=float(pressure[1]) if pressure else 0.0,
    )
