"""Fetchers that break every rule, run by a real worker in place of ours."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from safeurl.scan import Scan
from safeurl.service import Service, Submission
from safeurl.state import Outcome, State
from tests.support.images import script_image
from tests.support.system import RunningWorker, System

_MIB = 1024 * 1024
_MEMORY_LIMIT = 200 * _MIB

_GARBAGE = "print('%PDF-1.7 this is no report')"
_FLOOD = """
import sys
line = b'{"type":"evidence","hop":{"url":"' + b'x' * 4000 + b'"}}\\n'
for _ in range(2**30 // len(line)):
    sys.stdout.buffer.write(line)
"""
_NO_NEWLINE = """
import sys
for _ in range(1024):
    sys.stdout.buffer.write(b'x' * 2**20)
"""
_GREEDY = """
hoard = []
while True:
    hoard.append(bytearray(2**20))
"""
_SLEEPER = "import time; time.sleep(600)"
_LIAR = """
import json, sys
request = json.loads(sys.stdin.readline())
print(json.dumps({"type": "report", "scan": "another", "attempt": 1, "outcome": "ok"}))
"""

CASES = {
    "garbage": (_GARBAGE, State.FAILED, Outcome.REPORT_MALFORMED),
    "a report of 1 GB": (_FLOOD, State.FAILED, Outcome.REPORT_TOO_LARGE),
    "a line of 1 GB": (_NO_NEWLINE, State.FAILED, Outcome.REPORT_TOO_LARGE),
    "memory": (_GREEDY, State.FAILED, Outcome.OUT_OF_MEMORY),
    "silence": (_SLEEPER, State.TIMED_OUT, Outcome.WALL_TIMEOUT),
    "another scan's report": (_LIAR, State.FAILED, Outcome.REPORT_MALFORMED),
}


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_fetcher(case: str, tmp_path: Path) -> None:
    """It ends in the right state, leaves no container, and the worker's memory stays small."""
    script, state, outcome = CASES[case]
    with script_image(script) as image:
        system = System(
            tmp_path,
            FETCHER_IMAGE=image,
            WORKER_CONCURRENCY="1",
            CONTAINER_TIMEOUT_MS="5000" if case == "silence" else "60000",
            CONTAINER_MEMORY_LIMIT_MB="64",
        )
        with RunningWorker(system) as worker, _peak_memory(worker.pid) as peak:
            scan = _run_one(system)
    assert (scan.state, scan.outcome) == (state, outcome)
    assert system.containers() == []
    assert 0 < peak[0] < _MEMORY_LIMIT


def _run_one(system: System) -> Scan:
    async def act(service: Service) -> Submission:
        return await service.submit(["https://example.com/"], source="test")

    [scan] = system.with_service(act).scans
    [ended] = system.wait_final([scan.id], timeout_s=120)
    return ended


@contextmanager
def _peak_memory(supervisor: int) -> Iterator[list[int]]:
    """Watch the worker's processes; yields a list whose one item is the largest RSS of any."""
    peak = [0]
    done = threading.Event()

    def watch() -> None:
        root = psutil.Process(supervisor)
        while not done.wait(0.05):
            for process in root.children(recursive=True):
                try:
                    if process.name() != "valkey-server":
                        peak[0] = max(peak[0], process.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()
