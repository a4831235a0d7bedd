"""Watches daemons whose streams are broken: who is started again after one process has ended.

    python -m tests.support.stream_watch [--seconds 60] [--daemon up] [--streams "full both"]

Prints a line for each daemon and each way to break its streams; the status is 0 only where nobody
but the process at fault was started again, and all stopped in order.
"""

import argparse
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
import psutil

from tests.support.broken_streams import STREAMS, start
from tests.support.system import System
from worker.egress.protocol import CONTROL_NAME

#: How many processes each daemon has below its first one.
DAEMONS: Final[Mapping[str, int]] = {
    "up": 6,  # gateway, valkey, maintenance, two workers, API
    "worker": 5,
    "api": 0,
    "gateway": 1,  # the spawner
}
#: Those whose first process is a supervisor, which starts its children again.
SUPERVISED: Final = frozenset({"up", "worker"})

#: Also for a busy machine, which this only delays.
_START_S: Final = 120.0
_STOP_S: Final = 60.0
_POLL_S: Final = 0.05


@dataclass(slots=True)
class Watched:
    """The observations of a daemon's children."""

    #: Those that ran once all had begun.
    first: set[int]
    #: The processes that got SIGTERM or SIGKILL.
    faulty: set[int] = field(default_factory=set)
    #: All that ever ran.
    ever: set[int] = field(default_factory=set)
    #: Those that ran at the end.
    last: set[int] = field(default_factory=set)
    code: int | None = None

    @property
    def others(self) -> int:
        """How many ended by themselves."""
        return len(self.ever - self.last - self.faulty)


def watch(daemon: str, streams: str, state_dir: Path, seconds: float) -> Watched:
    """Run the daemon, kill one of its processes, and look at the others for so long."""
    system = System(
        state_dir,
        API_PORT="0",
        WORKER_CONCURRENCY="2",
        # Nothing answers there, so that there is always something to be logged.
        DOCKER_SOCKET_PATH=str(state_dir / "no-engine"),
    )
    command = ["-c", "from safeurl.cli import main; main()", daemon]
    with start(command, system.environ, streams) as process:
        try:
            _until(lambda: _is_ready(daemon, process.pid, system))
            seen = Watched(first=_children(process.pid))
            if daemon in SUPERVISED:
                _end_youngest(process.pid, signal.SIGTERM, seen)
                _end_youngest(process.pid, signal.SIGKILL, seen)
            end_s = time.monotonic() + seconds
            while time.monotonic() < end_s:
                seen.ever |= _children(process.pid)
                assert process.poll() is None, f"{daemon} ended by itself: {process.returncode}"
                time.sleep(_POLL_S)
            _until(lambda: _is_ready(daemon, process.pid, system))
            seen.last = _children(process.pid)
            seen.ever |= seen.first | seen.last
            process.send_signal(signal.SIGTERM)
            seen.code = process.wait(_STOP_S)
        finally:
            if process.poll() is None:
                process.kill()
    return seen


def _end_youngest(pid: int, number: int, seen: Watched) -> None:
    """End the child that was started last, and wait for its replacement."""
    before = _children(pid)
    faulty = max(before, key=lambda child: psutil.Process(child).create_time())
    seen.ever |= before
    seen.faulty.add(faulty)
    os.kill(faulty, number)
    _until(lambda: bool(_children(pid) - before))


def _children(pid: int) -> set[int]:
    return {each.pid for each in psutil.Process(pid).children()}


def _is_ready(daemon: str, pid: int, system: System) -> bool:
    """Return whether all its processes run and its services respond."""
    if len(_children(pid)) != DAEMONS[daemon]:
        return False
    if daemon in {"up", "api"} and not _serves_http(pid):
        return False
    return daemon == "api" or _has_gateway(system)


def _serves_http(pid: int) -> bool:
    """Request the API, whose port could not be printed."""
    found = psutil.Process(pid).net_connections("tcp")
    ports = [each.laddr.port for each in found if each.status == psutil.CONN_LISTEN]
    if not ports:
        return False
    try:
        return httpx.get(f"http://127.0.0.1:{ports[0]}/").is_success
    except httpx.TransportError:
        return False


def _has_gateway(system: System) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return not probe.connect_ex(str(system.settings.gateway_dir / CONTROL_NAME))


def _until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + _START_S
    while not condition():
        assert time.monotonic() < deadline_s, "the daemon is not ready"
        time.sleep(_POLL_S)


def main() -> None:
    """Watch the daemons of the command line, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--daemon", choices=DAEMONS, action="append")
    parser.add_argument("--streams", choices=STREAMS, action="append")
    given = parser.parse_args()
    well = True
    for daemon in given.daemon or DAEMONS:
        for streams in given.streams or STREAMS:
            with TemporaryDirectory() as folder:
                seen = watch(daemon, streams, Path(folder) / "state", given.seconds)
            well &= not seen.others and seen.code == 0
            print(  # noqa: T201 - what the command is for
                f"{daemon:8} {streams:12} {len(seen.first)} processes, "
                f"ended {len(seen.faulty)}, others started again {seen.others}, "
                f"exit code {seen.code}",
                flush=True,
            )
    sys.exit(not well)


if __name__ == "__main__":
    main()
