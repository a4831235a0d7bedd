"""A separate wall clock for processes under test, which can be set back while they run.

It is libfaketime (Debian package `faketime`) in their environment. The monotonic clocks, which
nobody sets, are not changed.
"""

from pathlib import Path

_LIBRARY = "*/faketime/libfaketime.so.1"

#: The library's `clock_nanosleep` refuses what Python's `sleep` asks of it (EINVAL, 0.9.10).
_SITE = """
import select, time
time.sleep = lambda seconds: select.select([], [], [], seconds) and None
"""


class WallClock:
    """The time of all processes that were started with its environment."""

    def __init__(self, folder: Path) -> None:
        """Begin with the real time."""
        self._folder = folder
        self._file = folder / "offset"
        self.shift(0)
        (folder / "sitecustomize.py").write_text(_SITE)

    def shift(self, seconds: int) -> None:
        """Set it this far from the real time, at once and for all."""
        new = self._folder / "offset.new"
        new.write_text(f"{seconds:+d}s\n")
        new.replace(self._file)

    @property
    def environ(self) -> dict[str, str]:
        """The variables that make a process live by it."""
        found = sorted(Path("/usr/lib").glob(_LIBRARY))
        if not found:
            raise RuntimeError("The tests need libfaketime: `bash docker/setup.sh --tests` adds it")
        return {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "PYTHONPATH": f"{self._folder}:{Path(__file__).parents[2]}",
        }
