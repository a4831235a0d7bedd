"""A real worker process without sandboxes: what it would scan it writes into a file instead.

with ScanWorkerProcess(server, folder) as worker:
    push a wake-up
    worker.wait_for_scans(1)
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

_TIMEOUT_S = 30.0
_CODE = """
import logging, os, sys
from pathlib import Path
from safeurl.model.records.wakeup import TASK
from safeurl.bootstrap import redis_server
from safeurl.settings import Settings
from worker.runtime.scan_worker import ANSWER_TIMEOUT_S, ScanWorker

scans = Path(sys.argv[1])

def record(wakeup):
    with scans.open("a") as file:
        file.write(wakeup.scan_id + "\\n")

logging.basicConfig(level="INFO")
connection = redis_server(Settings.read(os.environ)).connect_worker(ANSWER_TIMEOUT_S)
ScanWorker(
    connection, tasks={TASK: record}, deadline_s=30, max_scans=0, lifetime_s=0,
    unavailable_dependency=lambda: os.environ.get("UNAVAILABLE", ""),
).run()
"""


class ScanWorkerProcess:
    """One `ScanWorker` over the queue that the settings lead to."""

    def __init__(
        self,
        settings: Mapping[str, str],
        folder: Path,
        environ: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Prepare; nothing runs before the `with` block."""
        self._environ = {**os.environ, **settings, **environ}
        self._scans = folder / "scans"
        self._log = folder / "scan-worker.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """Return its log."""
        return self._log.read_text()

    def wait_for_scans(self, count: int) -> list[str]:
        """Return the ids of the scans that it has run, once there are so many."""
        return self._wait(self._ids, count, "scans")

    def wait_for_refusals(self, count: int) -> list[str]:
        """Return the reasons of its refusals, once there are so many."""
        return self._wait(self._reasons, count, "refusals")

    def wait_for_log(self, words: str) -> None:
        """Return once its log contains the text."""
        self._wait(lambda: self.log.splitlines()[:1] if words in self.log else [], 1, words)

    def _ids(self) -> list[str]:
        return self._scans.read_text().split() if self._scans.exists() else []

    def _reasons(self) -> list[str]:
        words = self.log.split("worker.refused_job reason=")[1:]
        return [each.split("\n", 1)[0] for each in words]

    def _wait(self, look: Callable[[], list[str]], count: int, what: str) -> list[str]:
        deadline = time.monotonic() + _TIMEOUT_S
        while len(found := look()) < count:
            assert self._process is not None
            assert self._process.poll() is None, f"it ended: {self.log}"
            assert time.monotonic() < deadline, f"{len(found)} of {count} {what}: {self.log}"
            time.sleep(0.02)
        return found

    def __enter__(self) -> Self:
        """Start it."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CODE, str(self._scans)],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self

    def stop(self) -> int:
        """Send SIGTERM, and return its exit status."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(timeout=_TIMEOUT_S)

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        if self._process is not None and self._process.poll() is None:
            self.stop()
