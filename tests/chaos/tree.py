"""One `safeurl worker` with all its processes, kept running as systemd would do."""

import contextlib
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import psutil

from tests.chaos import processes
from worker.egress.protocol import LOCK_NAME
from worker.sandbox.pool.protocol import LOCK_NAME as POOL_LOCK_NAME

#: As in the unit: `RestartSec=`.
_RESTART_S = 1.0
_EVENT_LOOP = "anon_inode:[eventpoll]"


class Kind(StrEnum):
    """The kind of a process of a tree."""

    SUPERVISOR = "supervisor"
    GATEWAY = "gateway"
    MAINTENANCE = "maintenance"
    POOL = "pool"
    WORKER = "worker"
    #: The child of a worker in which one scan runs, also when its worker was killed.
    JOB = "job"


def kind_of(process: psutil.Process, supervisor: int) -> Kind:
    """Return the kind of a process of the supervisor's tree, from its open files."""
    if process.pid == supervisor:
        return Kind.SUPERVISOR
    if process.ppid() != supervisor:
        return Kind.JOB
    files = processes.open_files(process.pid)
    if any(Path(each).name == LOCK_NAME for each in files):
        return Kind.GATEWAY
    if any(Path(each).name == POOL_LOCK_NAME for each in files):
        return Kind.POOL
    return Kind.MAINTENANCE if _EVENT_LOOP in files else Kind.WORKER


class Tree:
    """A supervised worker with its own host name, so that no other tree knows its processes."""

    def __init__(self, number: int, environ: Mapping[str, str], folder: Path) -> None:
        """Prepare; nothing runs before `start`."""
        self.mark = str(number)
        self.log = folder / f"worker-{number}.log"
        self.environ = {**environ, processes.TREE_MARK: self.mark}
        self.starts = 0
        #: The number of ends by status that were neither a fault of the test nor a stop.
        self.unasked: Counter[int] = Counter()
        self.hit = False
        self._boots = 1
        self._process: subprocess.Popen[bytes] | None = None
        self._start_at_s = 0.0
        self._held_until_s = 0.0

    @property
    def pid(self) -> int:
        """The supervisor; 0 while it is down."""
        return self._process.pid if self._process else 0

    def tend(self) -> None:
        """Start it when it does not run, after the pause that the unit has."""
        if self._process is None:
            if time.monotonic() >= max(self._start_at_s, self._held_until_s):
                self._start()
            return
        code = self._process.poll()
        if code is not None:
            if not self.hit:
                self.unasked[code] += 1
            self._process = None
            self._start_at_s = time.monotonic() + _RESTART_S

    def reboot(self) -> list[int]:
        """Kill all of it; the next tree is another machine for all others."""
        self._boots += 1
        return self.kill_all()

    def hold_down(self, seconds: float) -> list[int]:
        """Kill all of it, and let it start again only after so long."""
        self._held_until_s = time.monotonic() + seconds
        return self.kill_all()

    def kill_all(self) -> list[int]:
        """Kill the supervisor and all that it has started, at once."""
        self.hit = True
        return processes.kill([self.pid, *self.pids()] if self.pid else self.pids())

    def kill_supervisor(self) -> list[int]:
        """Kill the supervisor alone; the kernel sends SIGTERM to its children."""
        self.hit = True
        return processes.kill([self.pid]) if self.pid else []

    def tell(self) -> None:
        """Send the supervisor SIGTERM."""
        if self._process is not None:
            self.hit = True
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def stop(self, timeout_s: float) -> int | None:
        """Send SIGTERM and return the status, None if it had to be killed."""
        if self._process is None:
            return None
        self.tell()
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill_all()
            self._process.wait(timeout_s)
            return None

    def pids(self) -> list[int]:
        """Return all its processes, orphans included."""
        return [each.pid for each in processes.members(self.mark)]

    def by_kind(self) -> dict[Kind, list[int]]:
        """Return its processes by their kinds."""
        found: dict[Kind, list[int]] = {kind: [] for kind in Kind}
        for each in processes.members(self.mark):
            with contextlib.suppress(psutil.Error):
                found[kind_of(each, self.pid)].append(each.pid)
        return found

    def _start(self) -> None:
        name = f"chaos-{self.mark}-{self._boots}"
        program = [sys.executable, "-m", "safeurl.cli", "worker"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *("unshare", "--uts", "--", "sh", "-c"),
                    'hostname "$0" && exec "$@"',
                    name,
                    *program,
                ],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.starts += 1
        self.hit = False
