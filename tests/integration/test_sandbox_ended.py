"""Sandboxes that end from outside by a signal, or by the fetcher's own watchdog."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from docker.errors import APIError  # type: ignore[import-not-found]  # - docker/ hides the SDK

from safeurl.model.sandbox import Stop
from safeurl.model.scan import AuditEntry
from safeurl.ports.store import Store
from safeurl.state import Outcome, State
from tests.support.gateway_sandbox import gateway_sandbox
from tests.support.images import docker_client
from tests.support.installation import Installation, installation, until
from tests.support.pages import PageServer
from tests.support.routes import STANDARD_ROUTES
from worker.attempt.classify import ReportFacts, classify
from worker.sandbox import labels


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Run one worker for all signals."""
    folder = tmp_path_factory.mktemp("ended")
    given = {"RETRY_BACKOFF_SECONDS": "1"}
    with installation(folder, given, start=False) as made, made.worker:
        yield made
    assert made.system.containers_left() == []


# Any: the package ships no types.
def _kill(container: Any, name: str) -> None:
    container.kill(name)


def _restart(container: Any, grace_s: str) -> None:
    # The worker may remove the container before the engine has started it again.
    with suppress(APIError):
        container.restart(timeout=int(grace_s))


def _stop(container: Any, grace_s: str) -> None:
    container.stop(timeout=int(grace_s))


@pytest.mark.parametrize(
    ("end", "how"),
    [
        (_kill, "SIGTERM"),
        (_kill, "SIGKILL"),
        (_restart, "0"),
        (_restart, "1"),
        (_stop, "0"),
        (_stop, "1"),
    ],
    ids=["term", "kill", "restart-0", "restart-1", "stop-0", "stop-1"],
)
def test_a_sandbox_ended_from_outside_is_tried_again(
    site: Installation, end: Callable[[Any, str], None], how: str
) -> None:
    """Like a restart of Docker in order: the page is not to blame, the next attempt succeeds."""
    scan_id = site.begin_held(f"/held/{end.__name__}/{how}")
    [container] = site.system.containers()
    with docker_client() as client:
        end(client.containers.get(container), how)
    until(lambda: site.scan(scan_id).outcome is not None)
    site.release()
    [scan] = site.expect_completed([scan_id])

    async def trail(store: Store) -> list[AuditEntry]:
        return await store.audit(scan_id)

    put_off = [e for e in site.system.with_store(trail) if e.to_state is State.QUEUED][1:]
    assert [entry.outcome for entry in put_off] == [Outcome.SANDBOX_UNAVAILABLE]
    assert "from outside" in (put_off[0].detail or "")
    assert scan.attempt == 2


def test_a_sandbox_that_was_removed_is_tried_again(site: Installation) -> None:
    """After `docker rm -f` nothing shows how the sandbox ended."""
    scan_id = site.begin_held("/held/removed")
    [container] = site.system.containers()
    with docker_client() as client:
        client.containers.get(container).remove(force=True)
    until(lambda: site.scan(scan_id).outcome is not None)
    assert site.scan(scan_id).outcome is Outcome.SANDBOX_UNAVAILABLE
    site.release()
    [scan] = site.expect_completed([scan_id])
    assert scan.attempt == 2


def test_a_sandbox_that_was_paused_for_a_moment_goes_on(site: Installation) -> None:
    """A pause costs no attempt."""
    scan_id = site.begin_held("/held/paused")
    [container] = site.system.containers()
    with docker_client() as client:
        paused = client.containers.get(container)
        paused.pause()
        site.release()
        paused.unpause()
    [scan] = site.expect_completed([scan_id])
    assert scan.attempt == 1


def test_a_sandbox_that_stays_paused_is_not_the_pages_fault(tmp_path: Path) -> None:
    """It is killed at its deadline, and its outcome differs from that of a slow page."""
    with (
        PageServer(STANDARD_ROUTES) as pages,
        gateway_sandbox(tmp_path, "paused", ["127.0.0.1/32"]) as runner,
    ):

        def pause() -> None:
            until(lambda: bool(pages.requests))
            with docker_client() as client:
                [container] = client.containers.list(
                    filters={"label": labels.instance_filter("paused")}
                )
                container.pause()

        runner.deadline_s = 8.0
        pausing = threading.Thread(target=pause)
        pausing.start()
        ran = runner.fetch(pages.url("/slow?s=60"), allow_cidrs=("127.0.0.1/32",), timeout_s=7.0)
        pausing.join()
    assert (ran.exit.paused, ran.exit.stopped, ran.report) == (True, Stop.DEADLINE, None)
    assert classify(ran.exit, ReportFacts())[0] is Outcome.SANDBOX_UNAVAILABLE


def test_a_fetch_that_its_guard_kills_is_a_timeout(tmp_path: Path) -> None:
    """The fetcher's child is stopped, as if it hung in C code, until the watchdog ends it."""
    with (
        PageServer(STANDARD_ROUTES) as pages,
        gateway_sandbox(tmp_path, "ended-late", ["127.0.0.1/32"]) as runner,
        _standing_still(pages, "ended-late"),
    ):
        ran = runner.fetch(pages.url("/slow?s=60"), allow_cidrs=("127.0.0.1/32",), timeout_s=2.0)
    assert (ran.exit.exit_code, ran.exit.stopped, ran.report) == (124, None, None)
    assert classify(ran.exit, ReportFacts())[0] is Outcome.WALL_TIMEOUT


@contextmanager
def _standing_still(pages: PageServer, instance: str) -> Iterator[None]:
    """Stop the fetcher's child with SIGSTOP after it has requested its page."""

    def stop() -> None:
        until(lambda: bool(pages.requests))
        with docker_client() as client:
            [container] = client.containers.list(
                filters={"label": labels.instance_filter(instance)}
            )
            guard = psutil.Process(container.attrs["State"]["Pid"])
        for child in guard.children():
            os.kill(child.pid, signal.SIGSTOP)

    stopping = threading.Thread(target=stop)
    stopping.start()
    try:
        yield
    finally:
        stopping.join()
