"""An engine whose clock differs from the worker's, as behind a forwarded socket."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from safeurl.model.sandbox import SandboxExit, SinkResult
from safeurl.ports.sandbox import Sink
from tests.support.images import SOCKET_PATH, docker_client
from tests.support.sandbox_lab import Lab, collector, lab, lab_request
from worker.sandbox.docker_sandbox import DockerSandbox
from worker.sandbox.engine import CALL_TIMEOUT_S, Engine, EngineClient

_ASIDE = (timedelta(hours=-1), timedelta(hours=1))


class _AsideClient(EngineClient):
    """Shifts the times that the engine reports."""

    aside = timedelta()

    def inspect(self, container: str) -> dict[str, Any]:
        """Shift the time of the latest start."""
        facts = super().inspect(container)
        started_at = datetime.fromisoformat(facts["State"]["StartedAt"]) + self.aside
        facts["State"]["StartedAt"] = started_at.isoformat()
        return facts


class _AsideEngine(Engine):
    """The engine of this host with a shifted clock."""

    def __init__(self, aside: timedelta) -> None:
        super().__init__(SOCKET_PATH)
        self._aside = aside

    @contextmanager
    def client(self, timeout_s: float = CALL_TIMEOUT_S) -> Iterator[EngineClient]:
        """Wrap the client of the engine."""
        with super().client(timeout_s) as plain:
            client = _AsideClient(plain._api)  # noqa: SLF001 - the same connection
            client.aside = self._aside
            yield client


def _run(runner: Lab, aside: timedelta, sink: Sink, deadline_s: float = 60) -> SandboxExit:
    sandbox = DockerSandbox(runner.settings, SOCKET_PATH, engine=_AsideEngine(aside))
    return asyncio.run(sandbox.run(lab_request(), sink, deadline_s=deadline_s))


@pytest.mark.parametrize("aside", _ASIDE)
def test_a_run_of_its_own_is_no_restart(aside: timedelta) -> None:
    """With every shift of the clock, the sandbox was started once."""
    got: list[bytes] = []
    with lab("print('done')") as runner:
        ended = _run(runner, aside, collector(got))
    assert (ended.exit_code, ended.restarted, got) == (0, False, [b"done\n"])


@pytest.mark.parametrize("aside", _ASIDE)
def test_a_restart_is_noticed(aside: timedelta) -> None:
    """A restart is detected also if the engine's clock is behind."""
    with lab("import time; print('up', flush=True); time.sleep(600)") as runner:
        container = f"safeurl-{lab_request().scan}-1"
        threads: list[threading.Thread] = []

        def restart() -> None:
            with docker_client() as client:
                client.containers.get(container).restart(timeout=0)

        def sink(_: bytes) -> SinkResult:
            if not threads:
                threads.append(threading.Thread(target=restart))
                threads[0].start()
            return SinkResult.MORE

        ended = _run(runner, aside, sink, deadline_s=10)
        threads[0].join()
    assert ended.restarted
