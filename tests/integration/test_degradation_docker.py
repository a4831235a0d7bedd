"""Docker with faults: scans wait or get another attempt, and each of them ends.

The engine is shared, so each fault is applied to a socket in front of it.
"""

import os
from collections.abc import Iterator

import pytest
from docker.errors import APIError  # type: ignore[import-not-found]  # - docker/ hides the SDK

from safeurl.state import Outcome, State
from tests.support.docker_proxy import DockerProxy
from tests.support.images import docker_client
from tests.support.installation import Installation, installation, until

_SETTINGS = {"RETRY_BACKOFF_SECONDS": "1", "MAX_RETRIES": "20", "LEASE_SECONDS": "3"}
_IMAGE = "safeurl-fetcher"


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerProxy]:
    """Return a proxy in front of the engine, which each test leaves unchanged."""
    with DockerProxy(tmp_path_factory.mktemp("docker") / "docker.sock") as proxy:
        yield proxy


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, docker: DockerProxy) -> Iterator[Installation]:
    """Run one installation behind it for all tests, whose faults pass."""
    folder = tmp_path_factory.mktemp("state")
    with installation(folder, {**_SETTINGS, "DOCKER_SOCKET_PATH": str(docker.path)}) as running:
        yield running
        assert running.system.containers_left() == []


def test_docker_down(site: Installation, docker: DockerProxy) -> None:
    """Scans are taken and wait until the engine is back; the host is named."""
    docker.vanish()
    told = site.submit("/down")
    assert (told.code, told.said) == (0, "")
    health = site.expect_health("degraded", "Docker does not answer")
    assert health.code == 200
    waiting = site.scan(told.ids[0])
    assert (waiting.state, waiting.attempt) == (State.QUEUED, 0)
    docker.start()
    [scan] = site.expect_completed(told.ids)
    assert scan.attempt == 1


def test_docker_restarted(site: Installation, docker: DockerProxy) -> None:
    """A scan whose sandbox went with the engine is tried again; no container is left."""
    running = site.begin_held("/held/restarted")
    waiting = site.submit("/restarted")
    docker.stop()
    _kill_sandboxes(site)
    until(lambda: site.scan(running).outcome is Outcome.SANDBOX_UNAVAILABLE)
    assert site.scan(running).state is State.QUEUED
    docker.start()
    site.release()
    scan, _ = site.expect_completed([running, *waiting.ids])
    assert scan.attempt > 1
    site.expect_health("healthy")


def test_docker_slow(site: Installation, docker: DockerProxy) -> None:
    """With a slow engine scans are slow, but not wrong; one that hardly answers is reported."""
    try:
        docker.delay_s = 0.5
        told = site.submit("/slow")
        [scan] = site.expect_completed(told.ids, timeout_s=25)
        assert scan.attempt == 1
        docker.delay_s = 6
        health = site.expect_health("degraded", "Docker did not answer in time.")
        assert health.code == 200
    finally:
        docker.delay_s = 0


def test_image_missing(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The scan has advice, the next one waits; once the image is there both complete."""
    name = f"safeurl-test-missing-{os.getpid()}"
    folder = tmp_path_factory.mktemp("image")
    with installation(folder, {**_SETTINGS, "FETCHER_IMAGE": f"{name}:latest"}) as site:
        told = site.submit("/")
        assert (told.code, told.said) == (0, "")
        until(lambda: site.scan(told.ids[0]).outcome is Outcome.SANDBOX_UNAVAILABLE)
        sentence = f"The image {name}:latest is not on this host: build it"
        assert sentence in (site.scan(told.ids[0]).detail or "")
        waiting = site.submit("/waiting")
        site.expect_health("degraded", sentence)
        until(lambda: f"worker.waiting_for_engine error='{sentence}" in site.worker.log.read_text())
        assert site.scan(waiting.ids[0]).attempt == 0
        with docker_client() as client:
            client.images.get(_IMAGE).tag(name)
            try:
                [scan, other] = site.expect_completed([*told.ids, *waiting.ids])
            finally:
                client.images.remove(f"{name}:latest")
        assert scan.attempt > 1
        assert other.attempt == 1


def _kill_sandboxes(site: Installation) -> None:
    """Kill the containers of this installation, as an engine does when it stops."""
    label = f"safeurl.instance={site.system.settings.instance}"
    with docker_client() as client:
        for container in client.containers.list(filters={"label": label}):
            try:
                container.kill()
            except APIError as error:
                # It ended meanwhile, or was removed.
                assert error.status_code in {404, 409}, error  # noqa: PT017 - others are a fault
