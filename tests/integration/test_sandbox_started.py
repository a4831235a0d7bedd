"""A sandbox from its start to its release: the report ends the wait, and nothing is left."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from safeurl.errors import SandboxUnavailableError
from safeurl.model.report_reader import ReportReader
from safeurl.model.sandbox import SandboxExit, SinkResult, StartKind
from safeurl.state import Outcome
from tests.support.images import SOCKET_PATH
from tests.support.sandbox import ScriptedEgress
from tests.support.sandbox_lab import TIMEOUT_S, Lab, bench, ignore, lab, lab_request, leftovers
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.started import StartedSandbox

#: Reports like the fetcher, then stays and does not end on SIGTERM.
_REPORTER = """
import json, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
request = json.loads(sys.stdin.readline())
hoard = bytearray(b"x") * (64 * 2**20)
while time.process_time() < 0.2:
    pass
report = {"type": "report", "scan": request["scan"], "attempt": request["attempt"]}
print(json.dumps(report | {"outcome": "ok"}), flush=True)
time.sleep(600)
"""

_SILENT = "import time; time.sleep(600)"

_MIB = 1024 * 1024


async def prepare(runner: Lab, egress: ScriptedEgress | None = None) -> StartedSandbox:
    """Start a sandbox for the lab's request."""
    request = lab_request()
    return await runner.sandbox.prepare(
        request.scan, request.attempt, egress=egress, deadline_s=TIMEOUT_S
    )


def in_lab(runner: Lab, act: Callable[[StartedSandbox], Awaitable[None]]) -> None:
    """Prepare a sandbox, use it, release it, and expect that nothing is left."""

    async def run() -> None:
        sandbox = await prepare(runner)
        try:
            await act(sandbox)
        finally:
            await sandbox.release()

    asyncio.run(run())
    assert leftovers(runner.settings.instance) == []


def test_the_report_ends_the_wait_for_a_container_that_stays(runtime: str) -> None:
    """The container still runs, memory and CPU time are known, and the release removes it."""
    request = lab_request()
    reader = ReportReader(request.scan, request.attempt)
    ended: list[SandboxExit] = []

    async def act(sandbox: StartedSandbox) -> None:
        assert (sandbox.endpoint, sandbox.start_kind) == (None, StartKind.COLD)
        ended.append(await sandbox.execute(request, deadline_s=TIMEOUT_S, sink=reader.feed))
        assert leftovers(runner.settings.instance) == [f"safeurl-{request.scan}-1"]

    with lab(_REPORTER, runtime=runtime) as runner:
        in_lab(runner, act)
    [how] = ended
    assert reader.report is not None
    assert (reader.report.outcome, reader.fault) == (Outcome.OK, None)
    assert (how.error, how.stopped, how.exit_code, how.oom_killed) == (None, None, None, False)
    assert set(how.timings_ms) == {"create", "start", "fetch"}
    assert 64 * _MIB < (how.peak_memory_bytes or 0) <= 512 * _MIB
    assert (how.cpu_ms or 0) >= 200


def test_a_sandbox_without_a_request_is_released() -> None:
    """Release comes in any state, and more than once."""

    async def act(sandbox: StartedSandbox) -> None:
        await asyncio.gather(sandbox.release(), sandbox.release())

    with lab(_SILENT) as runner:
        in_lab(runner, act)


def test_a_cancelled_release_goes_on() -> None:
    """A cancellation does not interrupt the removal."""

    async def act(sandbox: StartedSandbox) -> None:
        releasing = asyncio.create_task(sandbox.release())
        for _ in range(3):
            await asyncio.sleep(0.01)
            releasing.cancel()
        await releasing

    with lab(_SILENT) as runner:
        in_lab(runner, act)


def test_a_cancelled_run_leaves_its_container_to_the_release() -> None:
    """The call returns soon, and the container is still there."""
    begun = threading.Event()

    def sink(_piece: bytes) -> SinkResult:
        begun.set()
        return SinkResult.MORE

    async def act(sandbox: StartedSandbox) -> None:
        running = asyncio.create_task(
            sandbox.execute(lab_request(), deadline_s=TIMEOUT_S, sink=sink)
        )
        assert await asyncio.to_thread(begun.wait, TIMEOUT_S)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert len(leftovers(runner.settings.instance)) == 1

    with lab(_REPORTER) as runner:
        in_lab(runner, act)


@pytest.mark.parametrize("delay_s", [0, 0.02, 0.1, 0.3])
def test_a_cancelled_start_leaves_neither_container_nor_socket(
    tmp_path: Path, delay_s: float
) -> None:
    """Whenever the cancellation comes."""
    egress = ScriptedEgress(folder=str(tmp_path))
    (tmp_path / "r1").mkdir()

    async def cancel_soon(runner: Lab) -> None:
        preparing = asyncio.create_task(prepare(runner, egress))
        await asyncio.sleep(delay_s)
        if preparing.cancel():
            with pytest.raises(asyncio.CancelledError):
                await preparing
        else:
            # The start was faster.
            sandbox = await preparing
            await sandbox.release()
            assert sandbox.endpoint is not None
            await egress.close(sandbox.endpoint)

    with lab(_SILENT) as runner:
        asyncio.run(cancel_soon(runner))
        assert leftovers(runner.settings.instance) == []
    assert egress.closed == egress.created


def test_a_sandbox_that_cannot_be_started_leaves_no_socket(tmp_path: Path) -> None:
    """The error is raised after the socket is closed."""
    egress = ScriptedEgress(folder=str(tmp_path))
    (tmp_path / "r1").mkdir()
    with bench("safeurl-test-missing:none") as runner:
        with pytest.raises(SandboxUnavailableError, match="FETCHER_IMAGE"):
            asyncio.run(prepare(runner, egress))
        assert leftovers(runner.settings.instance) == []
    assert egress.closed == egress.created == ["r1"]


def test_a_release_without_an_engine_only_says_so(tmp_path: Path) -> None:
    """It raises nothing; the container is left to the reaper."""
    link = tmp_path / "docker.sock"
    link.symlink_to(SOCKET_PATH)

    async def act(runner: Lab) -> list[str]:
        request = lab_request()
        sandbox = await DockerSandbox(runner.settings, str(link)).prepare(
            request.scan, request.attempt, egress=None, deadline_s=TIMEOUT_S
        )
        link.unlink()
        await sandbox.release()
        left = leftovers(runner.settings.instance)
        await runner.sandbox.run(request, ignore, deadline_s=1)
        return left

    with lab(_SILENT) as runner:
        left = asyncio.run(act(runner))
        # The next run of the same attempt has removed it.
        assert (len(left), leftovers(runner.settings.instance)) == (1, [])
