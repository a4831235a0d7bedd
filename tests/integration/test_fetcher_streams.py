"""With closed, full or broken streams the fetcher loses its log, but not the fetch."""

import os
from pathlib import Path
from typing import Final

import pytest

from fetcher.watchdog import Exit
from safeurl.model.report import ReportLine
from safeurl.state import Outcome
from tests.support.broken_streams import STREAMS, start
from tests.support.fetching import ROOT, read_lines, request_line
from tests.support.pages import PageServer
from tests.support.routes import STANDARD_ROUTES

_TIMEOUT_S: Final = 60
#: Stream states in which the report cannot be written.
_NO_REPORT: Final = frozenset(
    name for name in STREAMS if "stderr" not in name and "stdin" not in name
)
_ENVIRON: Final = {**os.environ, "PYTHONPATH": str(ROOT)}


def _run(line: bytes, streams: str) -> tuple[int, bytes]:
    """Run the fetcher with a request in a pipe; return its exit code and stdout."""
    reading, writing = os.pipe()
    os.write(writing, line)
    os.close(writing)
    try:
        process = start(["-m", "fetcher"], _ENVIRON, streams, stdin=reading)
    finally:
        os.close(reading)
    out, _ = process.communicate(timeout=_TIMEOUT_S)
    return process.returncode, out


@pytest.mark.parametrize("streams", STREAMS)
def test_a_fetch(streams: str) -> None:
    """The report is complete if it can be written; else the exit code shows it."""
    with PageServer(STANDARD_ROUTES) as server:
        code, out = _run(request_line(server.url("/")), streams)
    if streams in {"no stdin", "none"}:
        assert (code, out) == (Exit.BAD_REQUEST, b"")
    elif streams in _NO_REPORT:
        assert (code, out) == (Exit.STDOUT_CLOSED, b"")
    else:
        report = read_lines(out)[-1]
        assert isinstance(report, ReportLine)
        assert (code, report.outcome) == (Exit.REPORTED, Outcome.OK)


@pytest.mark.parametrize("streams", STREAMS)
def test_a_bad_request(streams: str) -> None:
    """The exit code needs no stream."""
    assert _run(b"garbage\n", streams) == (Exit.BAD_REQUEST, b"")


#: Each script has a child that fails; it records which processes run past that point.
_CHILDREN: Final = {
    "watchdog": """
from fetcher.watchdog import run_with_watchdog
def work(report_timeout):
    report_timeout(5.0)
    raise RuntimeError("an error")
record(int(run_with_watchdog(work, 30.0)))
""",
    "subprocess": """
from fetcher.subprocess_task import TaskFailedError, run_in_subprocess
def task():
    raise RuntimeError("an error")
try:
    run_in_subprocess(task, 30.0)
except (TaskFailedError, OSError):
    record("FAILED")
""",
    "subprocess that exits": """
import os
from fetcher.subprocess_task import TaskFailedError, run_in_subprocess
def task():
    print("buffered text")
    raise SystemExit(3)
try:
    run_in_subprocess(task, 30.0)
except (TaskFailedError, OSError):
    record("FAILED")
""",
}
_BEGIN: Final = """
import os, sys
from fetcher.streams import open_closed_streams
open_closed_streams()
def record(result):
    with open(sys.argv[1], "a") as log: log.write(f"{os.getpid()} {result}\\n")
    os._exit(7)
"""


@pytest.mark.parametrize("streams", STREAMS)
@pytest.mark.parametrize("child", _CHILDREN)
def test_a_failing_child_ends(tmp_path: Path, child: str, streams: str) -> None:
    """The child never continues with the parent's code, even if it cannot write."""
    log = tmp_path / "log"
    process = start(["-c", _BEGIN + _CHILDREN[child], str(log)], _ENVIRON, streams)
    process.communicate(timeout=_TIMEOUT_S)
    assert process.returncode == 7
    result = int(Exit.CRASHED) if child == "watchdog" else "FAILED"
    assert log.read_text() == f"{process.pid} {result}\n"
