"""Hostile output and excessive use of resources: limits hold, and the causes are distinguished."""

import asyncio
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from safeurl.model.report import FetchRequest, ReportLine, encode_line
from safeurl.model.sandbox import SinkResult, Stop
from safeurl.state import Outcome
from tests.support.docker_proxy import DockerProxy
from tests.support.images import SOCKET_PATH
from tests.support.sandbox_lab import TIMEOUT_S, ignore, instance_name, lab, lab_request
from worker.attempt.classify import ReportFacts, classify
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.runtime import RUNC

_GARBAGE = """
import random, sys
sys.stdout.buffer.write(random.Random(7).randbytes(300_000))
"""

_INVALID_UTF8 = r"""
import sys
sys.stdout.buffer.write(b"\xff\xfe\x80\n")
sys.stderr.buffer.write(b"\xc3\x28 tail")
"""

_ONE_GIGABYTE = """
import os
block = bytes(64 * 1024)
left = 2**30
while left:
    left -= os.write(1, block[:left])
"""

_ENDLESS_LINE = """
import os
while True:
    os.write(1, b"x" * 65536)
"""

#: Starts when the request has come, like code of a page: nothing hostile runs before.
_MEMORY_BOMB = """
import sys
sys.stdin.readline()
hoard = []
while True:
    hoard.append(bytearray(b"x") * 2**20)
"""

_CHILD_BOMB = """
import os, sys
sys.stdin.readline()
if os.fork() == 0:
    hoard = []
    while True:
        hoard.append(bytearray(b"x") * 2**20)
os.wait()
"""

#: Reads more than its limit, so that the kernel has to reclaim memory, and succeeds.
_KILLED_CHILD = """
import os, signal, sys, time
sys.stdin.readline()
left = 2**27
for folder, _, names in os.walk("/usr/lib"):
    for name in names:
        path = os.path.join(folder, name)
        if left > 0 and os.path.isfile(path):
            with open(path, "rb") as file:
                left -= len(file.read(2**22))
child = os.fork()
if child == 0:
    time.sleep(60)
os.kill(child, signal.SIGKILL)
_, status = os.wait()
sys.exit(128 + os.WTERMSIG(status))
"""

_STDERR_ONLY = """
import sys
for number in range(20_000):
    print("complaint", number, file=sys.stderr)
"""

_DEAF = """
import os
os.write(1, b"I do not listen")
"""

#: Runs a sandbox in its own process, so that its peak memory can be read.
_MEASURED = """
import asyncio, json, sys
from safeurl.model.sandbox import SinkResult
from safeurl.model.report import FetchRequest
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.options import SandboxSettings

image, instance, socket_path, runtime = sys.argv[1:]
total = 0

def sink(piece):
    global total
    total += len(piece)
    return SinkResult.MORE

request = FetchRequest(scan="measured", attempt=1, url="http://lab.invalid/")
settings = SandboxSettings(
    image=image, instance=instance, network="none", cpus=1.0, runtime=runtime
)
sandbox = DockerSandbox(settings, socket_path)
ended = asyncio.run(sandbox.run(request, sink, deadline_s=120))
# Not ru_maxrss, which a process takes over from the one that started it.
status = open("/proc/self/status").read()
peak_kib = int(status.partition("VmHWM:")[2].split()[0])
print(json.dumps([total, ended.exit_code, ended.error, peak_kib]))
"""


def garbage() -> bytes:
    """Return the output of the garbage script."""
    return random.Random(7).randbytes(300_000)  # noqa: S311 - the same bytes again, not a secret


def test_garbage_comes_through_byte_for_byte(runtime: str) -> None:
    """The output of a sandbox is passed on unchanged; the report reader checks it."""
    with lab(_GARBAGE, runtime=runtime) as runner:
        ran = runner.run()
    assert ran.stdout == garbage()
    assert ran.exit.exit_code == 0


def test_invalid_utf8_breaks_nothing(runtime: str) -> None:
    """Stdout stays bytes; undecodable bytes in the tail of stderr are replaced."""
    with lab(_INVALID_UTF8, runtime=runtime) as runner:
        ran = runner.run()
    assert ran.stdout == b"\xff\xfe\x80\n"
    assert ran.exit.stderr_tail == "\ufffd( tail"


def test_a_gigabyte_of_output_costs_the_worker_no_memory(runtime: str) -> None:
    """A worker that passes on 1 GiB stays below 200 MB."""
    program = [sys.executable, "-c", _MEASURED]
    with lab(_ONE_GIGABYTE, runtime=runtime) as runner:
        measured = subprocess.run(
            [*program, runner.settings.image, instance_name(), SOCKET_PATH, runtime],
            check=True,
            capture_output=True,
            timeout=200,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    total, exit_code, error, peak_kib = json.loads(measured.stdout)
    assert (total, exit_code, error) == (2**30, 0, None)
    assert peak_kib < 200 * 1024


def test_the_sink_ends_a_line_without_end(runtime: str) -> None:
    """When the sink refuses, the sandbox is killed, which would print for ever."""
    taken = 0

    def sink(piece: bytes) -> SinkResult:
        nonlocal taken
        taken += len(piece)
        return SinkResult.MORE if taken < 2**20 else SinkResult.REFUSED

    with lab(_ENDLESS_LINE, runtime=runtime) as runner:
        ran = runner.run(sink=sink)
    assert (ran.exit.stopped, ran.exit.exit_code) == (Stop.SINK, 137)
    assert ran.exit.error is None
    assert taken < 2 * 2**20


def test_lack_of_memory_is_reported(runtime: str) -> None:
    """A memory bomb is out of memory, not a crash."""
    with lab(_MEMORY_BOMB, memory_mb=64, runtime=runtime) as runner:
        ran = runner.run()
    assert (ran.exit.oom_killed, ran.exit.exit_code, ran.exit.stopped) == (True, 137, None)
    assert classify(ran.exit, ReportFacts())[0] is Outcome.OUT_OF_MEMORY


def test_lack_of_memory_of_a_child_is_reported(runtime: str) -> None:
    """A child's memory bomb is reported although its parent ends with 0; under gVisor all end."""
    with lab(_CHILD_BOMB, memory_mb=64, runtime=runtime) as runner:
        ran = runner.run()
    exit_code = 0 if runtime == RUNC else 137
    assert (ran.exit.oom_killed, ran.exit.exit_code, ran.exit.stopped) == (True, exit_code, None)
    assert classify(ran.exit, ReportFacts())[0] is Outcome.OUT_OF_MEMORY


@pytest.mark.parametrize("script", [_MEMORY_BOMB, _CHILD_BOMB], ids=["itself", "child"])
def test_lack_of_memory_is_reported_though_the_engine_lost_the_event(
    tmp_path: Path, runtime: str, script: str
) -> None:
    """The engine does not report it, as happens; the kernel does, before it kills."""
    with (
        DockerProxy(tmp_path / "docker.sock") as forgetful,
        lab(script, memory_mb=64, runtime=runtime) as runner,
    ):
        forgetful.instead = {b'"OOMKilled":true': b'"OOMKilled":null'}
        sandbox = DockerSandbox(runner.settings, str(forgetful.path))
        ended = asyncio.run(sandbox.run(lab_request(), ignore, deadline_s=TIMEOUT_S))
    assert (ended.error, ended.stopped) == (None, None)
    assert classify(ended, ReportFacts())[0] is Outcome.OUT_OF_MEMORY


def test_a_kill_is_not_lack_of_memory(runtime: str) -> None:
    """A watchdog that passes on its child's SIGKILL as 137 was killed, not out of memory."""
    with lab(_KILLED_CHILD, memory_mb=64, runtime=runtime) as runner:
        ran = runner.run()
    assert (ran.exit.oom_killed, ran.exit.exit_code) == (False, 137)
    assert classify(ran.exit, ReportFacts())[0] is Outcome.SANDBOX_UNAVAILABLE


def test_a_complete_report_outlives_a_bad_exit_code(runtime: str) -> None:
    """Stdout is complete though the sandbox ends with 3."""
    line = encode_line(ReportLine(scan="0197", attempt=1, outcome=Outcome.OK))
    with lab(f"import os; os.write(1, {line!r}); os._exit(3)", runtime=runtime) as runner:
        ran = runner.run()
    assert (ran.stdout, ran.exit.exit_code) == (line, 3)


def test_of_stderr_only_the_tail_is_kept(runtime: str) -> None:
    """A sandbox that writes only to stderr ends normally; the last 4 KiB are kept."""
    with lab(_STDERR_ONLY, runtime=runtime) as runner:
        ran = runner.run()
    assert ran.stdout == b""
    assert len(ran.exit.stderr_tail) == 4096
    assert ran.exit.stderr_tail.endswith("complaint 19999\n")


def test_a_sandbox_that_never_reads_stdin_is_still_heard(runtime: str) -> None:
    """A request larger than every pipe on the way blocks nothing."""
    request = FetchRequest(
        scan=f"deaf-{os.getpid()}", attempt=1, url="http://lab.invalid/", user_agent="x" * 2**22
    )
    with lab(_DEAF, runtime=runtime) as runner:
        ran = runner.run(request=request)
    assert ran.stdout == b"I do not listen"
    assert (ran.exit.exit_code, ran.exit.error) == (0, None)


def test_the_request_arrives_as_one_line_and_stdin_ends(runtime: str) -> None:
    """The fetcher reads its request and then the end of stdin."""
    with lab("import sys; print(len(sys.stdin.readlines()))", runtime=runtime) as runner:
        assert runner.run().stdout == b"1\n"
