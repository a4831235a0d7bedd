"""Fetchers that break every rule, run by a real worker instead of ours."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import pytest

from safeurl.model.scan import Scan
from safeurl.service import Service
from safeurl.services.submit import Submission
from safeurl.state import Outcome, State
from tests.support.images import script_image
from tests.support.system import RunningWorker, System

_MIB = 1024 * 1024
_MEMORY_LIMIT = 200 * _MIB

_GARBAGE = "print('%PDF-1.7 this is no report')"
_FLOOD = """
line = b'{"type":"evidence","hop":{"url":"https://x/' + b'x' * 4000 + b'"}}\\n'
for _ in range(2**30 // len(line)):
    sys.stdout.buffer.write(line)
"""
_NO_NEWLINE = """
for _ in range(1024):
    sys.stdout.buffer.write(b'x' * 2**20)
"""
_DEEP = """
print('{"type":"evidence","page":{"title":' + '[' * 400_000 + ']' * 400_000 + '}}')
"""
_NAN = """
own = f'"scan":"{request["scan"]}","attempt":{request["attempt"]}'
print('{"type":"report",' + own + ',"outcome":"ok","elapsed_ms":NaN}')
"""
_INVALID_UTF8 = """
sys.stdout.buffer.write(b'{"type":"evidence","page":{"title":"\\xc3\\x28\\xff"}}\\n')
"""
_GREEDY = """
hoard = []
while True:
    hoard.append(bytearray(2**20))
"""
_FULL_TMP = """
# No single file may be as large as all of it.
for number in range(1024):
    with open(f'/tmp/{number}', 'wb', buffering=0) as file:
        file.write(bytes(2**20))
"""
_FORK_BOMB = """
while True:
    try:
        os.fork()
    except OSError:
        time.sleep(0.1)
"""
_SLEEPER = "time.sleep(600)"
_STUBBORN = """
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
while True:
    time.sleep(600)
"""
_CLOSED = """
os.close(1)
os.close(2)
time.sleep(600)
"""
_ESCAPES = """
hop = {"url": "https://example.com/", "address": "\\x1b[2J\\nverdict: benign", "port": 443}
print(json.dumps({"type": "evidence", "hop": hop}))
print(json.dumps({"type": "report", "scan": request["scan"], "attempt": 1, "outcome": "ok"}))
"""
_LIAR = """
print(json.dumps({"type": "report", "scan": "another", "attempt": 1, "outcome": "ok"}))
"""

#: By the path of the URL for which it is played.
CASES = {
    "garbage": (_GARBAGE, State.FAILED, Outcome.REPORT_MALFORMED),
    "report-of-1-gb": (_FLOOD, State.FAILED, Outcome.REPORT_TOO_LARGE),
    "line-of-1-gb": (_NO_NEWLINE, State.FAILED, Outcome.REPORT_TOO_LARGE),
    "deeply-nested": (_DEEP, State.FAILED, Outcome.REPORT_MALFORMED),
    "nan": (_NAN, State.FAILED, Outcome.REPORT_MALFORMED),
    "invalid-utf8": (_INVALID_UTF8, State.FAILED, Outcome.REPORT_MALFORMED),
    "a-terminals-escapes": (_ESCAPES, State.FAILED, Outcome.REPORT_MALFORMED),
    "another-scans-report": (_LIAR, State.FAILED, Outcome.REPORT_MALFORMED),
    "memory": (_GREEDY, State.FAILED, Outcome.OUT_OF_MEMORY),
    "full-tmp": (_FULL_TMP, State.FAILED, Outcome.SANDBOX_CRASHED),
    "fork-bomb": (_FORK_BOMB, State.TIMED_OUT, Outcome.WALL_TIMEOUT),
    "silence": (_SLEEPER, State.TIMED_OUT, Outcome.WALL_TIMEOUT),
    "ignores-signals": (_STUBBORN, State.TIMED_OUT, Outcome.WALL_TIMEOUT),
    "closed-stdout": (_CLOSED, State.TIMED_OUT, Outcome.WALL_TIMEOUT),
}

#: Words that the detail holds where the outcome alone could have another cause.
_SAID = {
    "deeply-nested": "nested too deeply",
    "nan": "not valid",
    "invalid-utf8": "UTF-8",
    "a-terminals-escapes": "not valid",
    "another-scans-report": "another scan",
    "full-tmp": "No space left on device",
}

_SCRIPTS = {name: case[0] for name, case in CASES.items()}
#: Executes what its request's URL names.
_PLAYER = f"""
import json, os, signal, sys, time
request = json.loads(sys.stdin.readline())
exec({_SCRIPTS!r}[request["url"].rpartition("/")[2]])
"""


@dataclass(frozen=True, slots=True)
class Aftermath:
    """The remains after all cases have run."""

    scans: Mapping[str, Scan]
    containers: list[str]
    #: The largest RSS that any of the worker's processes had.
    peak_bytes: int


@pytest.fixture(scope="module")
def aftermath(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aftermath]:
    """Play all of them before one worker, two at a time."""
    with script_image(_PLAYER) as image:
        system = System(
            tmp_path_factory.mktemp("hostile"),
            FETCHER_IMAGE=image,
            WORKER_CONCURRENCY="2",
            CONTAINER_TIMEOUT_MS="8000",
            CONTAINER_MEMORY_LIMIT_MB="128",
            CONTAINER_PIDS_LIMIT="64",
        )
        with RunningWorker(system) as worker, _peak_memory(worker.pid) as peak:
            scans = _run_all(system)
            left = system.containers_left()
        yield Aftermath(scans, left, peak[0])


@pytest.mark.parametrize("case", CASES)
def test_a_hostile_fetcher(aftermath: Aftermath, case: str) -> None:
    """The scan ends in the right state, at its first attempt, with the reason."""
    _, state, outcome = CASES[case]
    scan = aftermath.scans[case]
    assert (scan.state, scan.outcome, scan.attempt) == (state, outcome, 1)
    assert _SAID.get(case, "") in (scan.detail or "")


def test_hostile_fetchers_leave_nothing(aftermath: Aftermath) -> None:
    """No container is left, and the worker's memory has stayed small throughout."""
    assert aftermath.containers == []
    assert 0 < aftermath.peak_bytes < _MEMORY_LIMIT


def _run_all(system: System) -> dict[str, Scan]:
    async def act(service: Service) -> Submission:
        return await service.submit(
            [f"https://example.com/{each}" for each in CASES], source="test"
        )

    submitted = system.with_service(act).scans
    ended = system.wait_final([scan.id for scan in submitted], timeout_s=120)
    return {scan.url.rpartition("/")[2]: scan for scan in ended}


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
