"""The fetcher with its streams closed, full or dead: the log is lost, and never the fetch."""

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

_PATIENCE_S: Final = 60
#: What has no place for the report.
_NO_REPORT: Final = frozenset(
    name for name in STREAMS if "stderr" not in name and "stdin" not in name
)
_ENVIRON: Final = {**os.environ, "PYTHONPATH": str(ROOT)}


def _run(line: bytes, streams: str) -> tuple[int, bytes]:
    """Run the fetcher on a request from a pipe; return its exit code and what it wrote."""
    reading, writing = os.pipe()
    os.write(writing, line)
    os.close(writing)
    try:
        process = start(["-m", "fetcher"], _ENVIRON, streams, stdin=reading)
    finally:
        os.close(reading)
    out, _ = process.communicate(timeout=_PATIENCE_S)
    return process.returncode, out


@pytest.mark.parametrize("streams", STREAMS)
def test_a_fetch(streams: str) -> None:
    """It is reported where the report has a place; else the exit code says that it has none."""
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
    """It is told by the exit code, which needs no stream."""
    assert _run(b"garbage\n", streams) == (Exit.BAD_REQUEST, b"")


#: Each has a child that fails, and writes down which processes come past that.
_CHILDREN: Final = {
    "guard": """
from fetcher.watchdog import run_guarded
def work(has_begun):
    has_begun(5.0)
    raise RuntimeError("a fault")
tell(int(run_guarded(work, 30.0)))
""",
    "apart": """
from fetcher.subprocess_task import TaskFailedError, run_apart
def task():
    raise RuntimeError("a fault")
try:
    run_apart(task, 30.0)
except (TaskFailedError, OSError):
    tell("FAILED")
""",
    "apart, by an exit": """
import os
from fetcher.subprocess_task import TaskFailedError, run_apart
def task():
    print("what stays in a buffer")
    raise SystemExit(3)
try:
    run_apart(task, 30.0)
except (TaskFailedError, OSError):
    tell("FAILED")
""",
}
_BEGIN: Final = """
import os, sys
from fetcher.streams import open_missing
open_missing()
def tell(word):
    with open(sys.argv[1], "a") as deeds: deeds.write(f"{os.getpid()} {word}\\n")
    os._exit(7)
"""


@pytest.mark.parametrize("streams", STREAMS)
@pytest.mark.parametrize("child", _CHILDREN)
def test_a_child_that_fails_ends(tmp_path: Path, child: str, streams: str) -> None:
    """It never goes on as its parent, whatever it could not write."""
    deeds = tmp_path / "deeds"
    process = start(["-c", _BEGIN + _CHILDREN[child], str(deeds)], _ENVIRON, streams)
    process.communicate(timeout=_PATIENCE_S)
    assert process.returncode == 7
    word = int(Exit.CRASHED) if child == "guard" else "FAILED"
    assert deeds.read_text() == f"{process.pid} {word}\n"
