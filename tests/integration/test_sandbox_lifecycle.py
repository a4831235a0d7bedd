"""The life of a real sandbox: deadlines, cancellation, parallel runs, and failing engines."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from safeurl.errors import SandboxUnavailableError
from safeurl.model.sandbox import SandboxExit, SinkResult, Stop
from tests.support.images import BASE_IMAGE, SOCKET_PATH, command_image, docker_client
from tests.support.sandbox_lab import (
    TIMEOUT_S,
    Lab,
    bench,
    collector,
    ignore,
    instance_name,
    lab,
    lab_request,
    leftovers,
)
from worker.sandbox import labels
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.options import SandboxSettings

_STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(600)
"""

_CLOSED = """
import os, time
os.write(1, b"last words")
os.close(1)
os.close(2)
time.sleep(600)
"""

_CHATTER = """
import os
while True:
    os.write(1, b"blah" * 1024)
"""

_ECHO = "import sys; print(sys.stdin.read())"


async def cancelled_once_ready(runner: Lab, *, times: int = 1) -> list[str]:
    """Cancel a run after its first output; return the containers that remain."""
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()

    def sink(_: bytes) -> SinkResult:
        loop.call_soon_threadsafe(ready.set)
        return SinkResult.MORE

    running = asyncio.create_task(runner.sandbox.run(lab_request(), sink, deadline_s=TIMEOUT_S))
    await asyncio.wait_for(ready.wait(), 60)
    for _ in range(times):
        running.cancel()
        await asyncio.sleep(0.01)
    with pytest.raises(asyncio.CancelledError):
        await running
    return await asyncio.to_thread(leftovers, runner.settings.instance)


@pytest.mark.parametrize(
    ("script", "said"),
    [(_STUBBORN, b"ready\n"), (_CLOSED, b"last words")],
    ids=["stubborn", "closed"],
)
def test_the_deadline_kills(script: str, said: bytes) -> None:
    """Neither ignoring SIGTERM nor closing stdout avoids the deadline; earlier output is kept."""
    with lab(script) as runner:
        ran = runner.run(deadline_s=2)
    assert (ran.exit.stopped, ran.exit.exit_code) == (Stop.DEADLINE, 137)
    assert (ran.stdout, ran.exit.error, ran.exit.oom_killed) == (said, None, False)


def test_the_deadline_kills_what_never_stops_talking() -> None:
    """Endless output neither keeps the container running nor hides its end."""
    with lab(_CHATTER) as runner:
        ran = runner.run(deadline_s=1, sink=ignore)
    assert (ran.exit.stopped, ran.exit.exit_code) == (Stop.DEADLINE, 137)
    assert ran.exit.error is None


@pytest.mark.parametrize(
    "script", [_STUBBORN, _CLOSED, _CHATTER], ids=["stubborn", "closed", "chatter"]
)
def test_cancelling_removes_the_container_before_it_returns(script: str) -> None:
    """When a cancelled run returns, its container is removed."""
    with lab(script) as runner:
        assert asyncio.run(cancelled_once_ready(runner)) == []


def test_cancelling_again_does_not_leave_the_container() -> None:
    """Further cancellations cannot interrupt the removal."""
    with lab(_STUBBORN) as runner:
        assert asyncio.run(cancelled_once_ready(runner, times=5)) == []


@pytest.mark.parametrize("delay_s", [0, 0.02, 0.1, 0.3])
def test_cancelling_while_it_is_made_leaves_nothing(delay_s: float) -> None:
    """A run can be cancelled before, while and after its container is created and started."""

    async def cancel_soon(runner: Lab) -> list[str]:
        running = asyncio.create_task(
            runner.sandbox.run(lab_request(), ignore, deadline_s=TIMEOUT_S)
        )
        await asyncio.sleep(delay_s)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        return await asyncio.to_thread(leftovers, runner.settings.instance)

    with lab(_STUBBORN) as runner:
        assert asyncio.run(cancel_soon(runner)) == []


def test_four_at_once_do_not_mix() -> None:
    """Each of four concurrent runs gets its own request and its own response."""

    async def crowd(runner: Lab) -> list[tuple[SandboxExit, bytes]]:
        sandbox = runner.sandbox

        async def one(attempt: int) -> tuple[SandboxExit, bytes]:
            got: list[bytes] = []
            return await sandbox.run(
                lab_request(attempt), collector(got), deadline_s=TIMEOUT_S
            ), b"".join(got)

        return await asyncio.gather(*(one(attempt) for attempt in range(1, 5)))

    with lab(_ECHO) as runner:
        ended = asyncio.run(crowd(runner))
    for attempt, (how, said) in enumerate(ended, start=1):
        assert (how.exit_code, how.error) == (0, None)
        assert f'"attempt":{attempt},'.encode() in said
    assert len({how.container_id for how, _ in ended}) == 4


def test_a_sink_that_fails_leaves_nothing() -> None:
    """An error of the caller's sink is raised after the container is removed."""

    def sink(_: bytes) -> SinkResult:
        raise LookupError

    with lab(_STUBBORN) as runner:
        with pytest.raises(LookupError):
            runner.run(sink=sink)
        assert leftovers(runner.settings.instance) == []


def test_phases_are_timed() -> None:
    """Each phase of a normal run has its time."""
    with lab("pass") as runner:
        ran = runner.run()
    assert set(ran.exit.timings_ms) == {"create", "start", "fetch", "remove"}
    assert ran.exit.start_kind == "cold"


def test_a_missing_image_is_one_sentence_that_helps() -> None:
    """The error names the missing image and the remedy."""
    with bench("safeurl-test-missing:none") as runner:
        error = runner.run().exit.error
    assert error is not None
    assert "safeurl-test-missing:none" in error
    assert "FETCHER_IMAGE" in error


def test_a_command_that_cannot_be_run_is_dockers_failure() -> None:
    """A refused start (127) is an error, and the created container is removed."""
    with command_image(["/nowhere/fetcher"]) as tag, bench(tag) as runner:
        ran = runner.run()
    assert ran.exit.error is not None
    assert "/nowhere/fetcher" in ran.exit.error


def test_an_unknown_runtime_is_named() -> None:
    """A runtime that the engine does not know is an error that names the setting."""
    with lab("pass", runtime="nosuchruntime") as runner:
        error = runner.run().exit.error
    assert error is not None
    assert "nosuchruntime" in error
    assert "CONTAINER_RUNTIME" in error


def test_no_engine_is_an_error_as_value_and_as_ping(tmp_path: Path) -> None:
    """Without an engine, a run returns the error and a ping raises it."""
    settings = SandboxSettings(image="any", instance=instance_name())
    sandbox = DockerSandbox(settings, str(tmp_path / "docker.sock"))
    ended = asyncio.run(sandbox.run(lab_request(), ignore, deadline_s=TIMEOUT_S))
    assert ended.error is not None
    assert "DOCKER_SOCKET_PATH" in ended.error
    assert ended.container_id is None
    with pytest.raises(SandboxUnavailableError, match="DOCKER_SOCKET_PATH"):
        asyncio.run(sandbox.ping())


def test_a_ping_returns_the_engines_version() -> None:
    """A ping returns the version of the engine."""
    settings = SandboxSettings(image=BASE_IMAGE, instance=instance_name())
    with docker_client() as client:
        version = client.version()["Version"]
    assert asyncio.run(DockerSandbox(settings, SOCKET_PATH).ping()) == version


async def test_an_engine_without_the_image_fails_its_check_alone() -> None:
    """A ping succeeds; the check of the image raises and names the image."""
    settings = SandboxSettings(image="safeurl-test-absent", instance=instance_name())
    sandbox = DockerSandbox(settings, SOCKET_PATH)
    assert await sandbox.ping()
    with pytest.raises(SandboxUnavailableError, match="safeurl-test-absent is not on this host"):
        await sandbox.check_image()


@contextmanager
def squatter(runner: Lab, owner: dict[str, str]) -> Iterator[str]:
    """Create a container with the name of the lab's next run; yield its id."""
    request = lab_request()
    with docker_client() as client:
        container = client.containers.create(
            runner.settings.image,
            name=labels.container_name(request.scan, request.attempt),
            labels={labels.MANAGED: "true", labels.INSTANCE: runner.settings.instance, **owner},
        )
        try:
            yield container.id
        finally:
            for found in client.containers.list(all=True, filters={"id": container.id}):
                found.remove(force=True)


def test_an_attempts_own_leftover_is_replaced() -> None:
    """A container of this attempt, left by a lost response, is replaced."""
    request = lab_request()
    own = {
        labels.SCAN: request.scan,
        labels.ATTEMPT: str(request.attempt),
        labels.DEADLINE: "2026-01-02T03:04:05+00:00",
        labels.ROLE: labels.ROLE_SANDBOX,
    }
    with lab(_ECHO) as runner, squatter(runner, own) as squatter_id:
        ran = runner.run()
    assert (ran.exit.error, ran.exit.exit_code) == (None, 0)
    assert ran.exit.container_id != squatter_id


def test_a_stranger_with_our_name_is_left_alone() -> None:
    """A container that is not this attempt's is never removed; the run ends with the error."""
    with lab(_ECHO) as runner, squatter(runner, {}) as squatter_id:
        ran = runner.run()
        with docker_client() as client:
            assert client.containers.get(squatter_id).status == "created"
    assert ran.exit.error is not None
    assert "already in use" in ran.exit.error


def test_a_sandbox_object_outlives_a_change_of_engine(tmp_path: Path) -> None:
    """The same sandbox object works again when its engine is back."""
    link = tmp_path / "docker.sock"
    with lab("pass") as runner:
        sandbox = DockerSandbox(runner.settings, str(link))
        away = asyncio.run(sandbox.run(lab_request(), ignore, deadline_s=TIMEOUT_S))
        link.symlink_to(SOCKET_PATH)
        back = asyncio.run(sandbox.run(lab_request(), ignore, deadline_s=TIMEOUT_S))
    assert away.error is not None
    assert (back.error, back.exit_code) == (None, 0)


def test_runs_leave_no_thread_behind() -> None:
    """A run keeps no thread after its event loop has ended."""
    before = threading.active_count()
    with lab("pass") as runner:
        runner.run()
    assert threading.active_count() == before
