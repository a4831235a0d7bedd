"""The fetcher's process ends by itself, in time, with an exit code for the reason."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fetcher.watchdog import Exit
from safeurl.model.report import READY_LINE, ReportLine, encode_line
from safeurl.state import Outcome
from tests.support.fetching import COMMAND, ROOT, read_lines, request_line, run_fetcher
from tests.support.pages import PageServer, html
from tests.support.routes import STANDARD_ROUTES


@contextmanager
def _started(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        (*COMMAND, *options),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _send(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


def _child(process: subprocess.Popen[bytes]) -> int:
    """Wait for the watchdog's child and return its process id."""
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for _ in range(600):
        children = path.read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.05)
    raise TimeoutError("the watchdog has no child")


def _wait_for_request(server: PageServer) -> None:
    for _ in range(600):
        if server.requests:
            return
        time.sleep(0.05)
    raise TimeoutError("no request came")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"garbage\n",
        b'{"scan":"s","attempt":1}\n',
        b'{"scan":"s","attempt":1,"url":"http://a.test/","extra":1}\n',
        request_line("http://a.test/", profile="browser"),
        request_line("http://a.test/", timeout_s=0.0),
        request_line("http://a.test/", allow_cidrs=("nonsense",)),
        b"x" * 100_000 + b"\n",
    ],
    ids=["nothing", "empty", "garbage", "no url", "extra", "profile", "time", "policy", "long"],
)
def test_a_bad_request_has_its_own_exit_code(line: bytes) -> None:
    """Nothing is written to stdout, and stderr contains the reason."""
    run = run_fetcher(line)
    assert run.code == Exit.BAD_REQUEST
    assert run.lines == ()
    assert run.stderr.startswith("The request cannot be run: ")


def test_a_warm_fetcher_waits_for_its_request() -> None:
    """With `--preload` it says when it is ready, and fetches when the request arrives."""
    with (
        PageServer({"/": lambda _: html("<title>Warm</title>")}) as server,
        _started("--preload", "--idle-timeout", "60") as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == READY_LINE
        _send(process, request_line(server.url("/")))
        lines = read_lines(process.stdout.read())
        assert process.wait(30) == Exit.REPORTED
    assert isinstance(lines[-1], ReportLine)
    assert lines[-1].outcome is Outcome.OK


def test_without_a_request_it_ends_when_the_idle_time_is_over() -> None:
    """A sandbox that was started in advance and is not used ends."""
    with _started("--idle-timeout", "1") as process:
        assert process.wait(60) == Exit.IDLE


def test_a_blocked_fetch_is_killed_after_its_deadline() -> None:
    """The child is stopped as if it were blocked in C code; the watchdog kills it."""
    with PageServer(STANDARD_ROUTES) as server, _started() as process:
        _send(process, request_line(server.url("/slow?s=60"), timeout_s=0.5))
        _wait_for_request(server)
        child = _child(process)
        os.kill(child, signal.SIGSTOP)
        assert process.wait(60) == Exit.LATE
        assert not Path(f"/proc/{child}").exists()


def test_a_killed_fetch_shows_in_the_exit_code() -> None:
    """The code is 137, as when the kernel kills the child for lack of memory."""
    with PageServer(STANDARD_ROUTES) as server, _started() as process:
        _send(process, request_line(server.url("/slow?s=60")))
        _wait_for_request(server)
        os.kill(_child(process), signal.SIGKILL)
        assert process.wait(30) == 137


def test_sigterm_ends_watchdog_and_fetch() -> None:
    """Stopping the container needs no SIGKILL."""
    with PageServer(STANDARD_ROUTES) as server, _started() as process:
        _send(process, request_line(server.url("/slow?s=60")))
        _wait_for_request(server)
        child = _child(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == Exit.TERMINATED
        assert not Path(f"/proc/{child}").exists()


def test_a_report_without_a_reader_ends_the_fetch() -> None:
    """If the report has no reader, the fetch ends with its own code."""
    with PageServer(STANDARD_ROUTES) as server, _started() as process:
        assert process.stdout is not None
        process.stdout.close()
        _send(process, request_line(server.url("/")))
        assert process.wait(30) == Exit.STDOUT_CLOSED


def test_evidence_comes_while_the_fetch_runs() -> None:
    """The hop's line is written before the page is loaded."""
    with PageServer(STANDARD_ROUTES) as server, _started() as process:
        _send(process, request_line(server.url("/trickle")))
        assert process.stdout is not None
        (line,) = read_lines(process.stdout.readline())
        assert encode_line(line).startswith(b'{"type":"evidence","hop"')
        assert process.poll() is None


def test_unknown_options_are_refused() -> None:
    """A misspelt option in the image's command is an error."""
    done = subprocess.run(
        (sys.executable, "-m", "fetcher", "--fast"),
        capture_output=True,
        check=False,
        cwd=ROOT,
        timeout=60,
    )
    assert done.returncode == 1
    assert b"Usage:" in done.stderr
