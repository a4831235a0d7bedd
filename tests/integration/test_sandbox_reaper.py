"""The reaper removes only containers of ended attempts."""

import asyncio
import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from safeurl.errors import SandboxUnavailableError, StoreUnavailableError
from tests.support.images import SOCKET_PATH, docker_client
from tests.support.sandbox_lab import Lab, clear, lab, leftovers
from worker.sandbox import labels
from worker.sandbox.reaper import GRACE, MIN_AGE, Reaper

_NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

#: A worker that is going to be killed; it prints a line when its sandbox has started.
_WORKER = """
import asyncio, sys
from safeurl.model.sandbox import SinkResult
from safeurl.model.report import FetchRequest
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.options import SandboxSettings

image, instance, socket_path, scan = sys.argv[1:]
settings = SandboxSettings(image=image, instance=instance, network="none")
request = FetchRequest(scan=scan, attempt=1, url="http://lab.invalid/")

def sink(piece):
    print("running", flush=True)
    return SinkResult.MORE

sandbox = DockerSandbox(settings, socket_path)
asyncio.run(sandbox.run(request, sink, deadline_s=300))
"""

_TALKER = """
import time
print("here", flush=True)
time.sleep(600)
"""


async def nothing_is_over(_scan: str, _attempt: int) -> bool:
    """Return False: every attempt runs."""
    return False


def place(
    runner: Lab,
    scan: str,
    deadline_at: datetime,
    instance: str | None = None,
    role: str = labels.ROLE_SANDBOX,
) -> str:
    """Create a container as an earlier worker would have left it; return its name."""
    owner = labels.SandboxLabels(
        instance=instance or runner.settings.instance,
        scan=scan,
        attempt=1,
        deadline_at=deadline_at,
        role=role,
    )
    name = labels.container_name(scan, 1)
    with docker_client() as client:
        client.containers.create(runner.settings.image, name=name, labels=labels.build(owner))
    return name


def test_only_expired_containers_of_this_instance_go() -> None:
    """Deadline and grace must have passed, and another instance's containers stay."""
    mark = f"reap-{os.getpid()}"
    expired_at = _NOW - GRACE
    with lab("pass") as runner:
        other = f"{runner.settings.instance}-other"
        try:
            gone = place(runner, f"{mark}-gone", expired_at)
            kept = place(runner, f"{mark}-kept", expired_at + timedelta(seconds=1))
            foreign = place(runner, f"{mark}-foreign", expired_at, other)
            reaper = Reaper(SOCKET_PATH, runner.settings.instance)
            assert asyncio.run(reaper.sweep(lambda: _NOW, nothing_is_over)) == [gone]
            assert leftovers(runner.settings.instance) == [kept]
            assert leftovers(other) == [foreign]
        finally:
            clear(other)
            clear(runner.settings.instance)


def test_containers_of_attempts_that_are_over_go() -> None:
    """They are removed long before their deadline, but not while young; running ones stay."""
    mark = f"over-{os.getpid()}"
    far = datetime.now(UTC) + timedelta(hours=1)

    async def is_over(scan: str, attempt: int) -> bool:
        return (scan, attempt) == (f"{mark}-over", 1)

    with lab("pass") as runner:
        try:
            over = place(runner, f"{mark}-over", far)
            runs = place(runner, f"{mark}-runs", far)
            reaper = Reaper(SOCKET_PATH, runner.settings.instance)
            now = datetime.now(UTC)
            assert asyncio.run(reaper.sweep(lambda: now, is_over)) == []
            assert asyncio.run(reaper.sweep(lambda: now + MIN_AGE, is_over)) == [over]
            assert leftovers(runner.settings.instance) == [runs]
            # At the stop of a worker nobody else removes it, however young it is.
            young = place(runner, f"{mark}-over", far)
            at_once = reaper.sweep(lambda: now, is_over, min_age=timedelta(0))
            assert asyncio.run(at_once) == [young]
        finally:
            clear(runner.settings.instance)


def test_a_container_from_before_the_clock_was_set_back_is_not_young() -> None:
    """Otherwise it would outlive its attempt by as much as the clock was set back."""
    scan = f"ahead-{os.getpid()}"

    async def is_over(_scan: str, _attempt: int) -> bool:
        return True

    with lab("pass") as runner:
        try:
            now = datetime.now(UTC)
            over = place(runner, scan, now + timedelta(hours=1))
            reaper = Reaper(SOCKET_PATH, runner.settings.instance)
            assert asyncio.run(reaper.sweep(lambda: now - timedelta(hours=1), is_over)) == [over]
        finally:
            clear(runner.settings.instance)


def test_a_container_of_no_scan_keeps_its_time() -> None:
    """A container of `safeurl doctor` has no attempt in the database; only its deadline counts."""
    scan = f"doctor-{os.getpid()}"

    async def is_over(_scan: str, _attempt: int) -> bool:
        return True

    with lab("pass") as runner:
        try:
            far = datetime.now(UTC) + timedelta(hours=1)
            tried = place(runner, scan, far, role=labels.ROLE_DOCTOR)
            reaper = Reaper(SOCKET_PATH, runner.settings.instance)
            assert asyncio.run(reaper.sweep(lambda: datetime.now(UTC) + MIN_AGE, is_over)) == []
            assert leftovers(runner.settings.instance) == [tried]
            assert asyncio.run(reaper.sweep(lambda: far + GRACE, nothing_is_over)) == [tried]
        finally:
            clear(runner.settings.instance)


class _Stubborn(BaseHTTPRequestHandler):
    """An engine with two containers, the first of which it cannot remove."""

    def do_GET(self) -> None:
        listed = [
            {"Id": f"c{attempt}", "Created": 0, "Labels": labels.build(_expired(attempt))}
            for attempt in (1, 2)
        ]
        self._answer(200, listed if "/containers/" in self.path else {"ApiVersion": "1.41"})

    def do_DELETE(self) -> None:
        stays = "/containers/c1" in self.path
        self._answer(*((500, {"message": "It is stuck."}) if stays else (200, {})))

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Log nothing: a unix peer has no address to print."""


def _expired(attempt: int) -> labels.SandboxLabels:
    return labels.SandboxLabels(
        instance="main", scan="stuck", attempt=attempt, deadline_at=_NOW - GRACE
    )


def test_a_container_that_cannot_be_removed_keeps_no_other(tmp_path: Path) -> None:
    """The others are removed, and only they are returned."""
    path = tmp_path / "docker.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), _Stubborn) as engine:
        engine.daemon_threads = True
        thread = threading.Thread(target=engine.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            removed = asyncio.run(Reaper(str(path), "main").sweep(lambda: _NOW, nothing_is_over))
        finally:
            engine.shutdown()
            thread.join()
    assert removed == [labels.container_name("stuck", 2)]


def test_a_database_that_is_away_keeps_no_expired_container() -> None:
    """Containers past their deadline are removed first; the state of the others is unknown."""
    mark = f"away-{os.getpid()}"

    async def nobody_knows(_scan: str, _attempt: int) -> bool:
        raise StoreUnavailableError("The database is away.")

    with lab("pass") as runner:
        try:
            now = datetime.now(UTC)
            doubtful = place(runner, f"{mark}-doubtful", now + timedelta(hours=1))
            place(runner, f"{mark}-expired", now - GRACE)
            reaper = Reaper(SOCKET_PATH, runner.settings.instance)
            with pytest.raises(StoreUnavailableError):
                asyncio.run(reaper.sweep(lambda: datetime.now(UTC) + MIN_AGE, nobody_knows))
            assert leftovers(runner.settings.instance) == [doubtful]
        finally:
            clear(runner.settings.instance)


def test_a_killed_workers_container_is_found_by_its_attempt() -> None:
    """A worker killed with -9 leaves a running, labelled container; the reaper removes it."""
    scan = f"orphan-{os.getpid()}"
    with lab(_TALKER) as runner:
        settings = runner.settings
        with subprocess.Popen(
            [sys.executable, "-c", _WORKER, settings.image, settings.instance, SOCKET_PATH, scan],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        ) as worker:
            assert worker.stdout is not None
            assert worker.stdout.readline() == b"running\n"
            worker.send_signal(signal.SIGKILL)
        assert leftovers(settings.instance) == [labels.container_name(scan, 1)]
        reaper = Reaper(SOCKET_PATH, settings.instance)
        assert asyncio.run(reaper.remove_attempt(scan, 1)) is True
        assert leftovers(settings.instance) == []


def test_removing_an_attempt_needs_the_same_instance() -> None:
    """Another instance's attempt is not removed, and a missing container is not an error."""
    scan = f"mine-{os.getpid()}"
    with lab("pass") as runner:
        name = place(runner, scan, _NOW)
        try:
            stranger = Reaper(SOCKET_PATH, f"{runner.settings.instance}-other")
            assert asyncio.run(stranger.remove_attempt(scan, 1)) is False
            assert leftovers(runner.settings.instance) == [name]
            assert asyncio.run(stranger.remove_attempt("nobody", 1)) is False
        finally:
            clear(runner.settings.instance)


def test_without_an_engine_the_reaper_says_so() -> None:
    """The caller gets the error."""
    with pytest.raises(SandboxUnavailableError):
        asyncio.run(Reaper("/nowhere/docker.sock", "main").sweep(lambda: _NOW, nothing_is_over))
