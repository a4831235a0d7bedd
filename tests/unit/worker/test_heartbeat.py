"""What a worker says of itself: that it lives, and whether its host can run sandboxes."""

import os
import socket
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from safeurl.adapters.memory.store import MemoryStore
from safeurl.bootstrap import utc_now
from safeurl.errors import EgressUnavailableError, SandboxUnavailableError, StoreUnavailableError
from safeurl.model.scan import WorkerBeat
from safeurl.ports.sandbox import Sandbox
from safeurl.settings import Settings
from tests.support.sandbox import ScriptedSandbox
from worker.runtime.heartbeat import Heartbeat


class _NoDocker(ScriptedSandbox):
    """An engine that does not answer."""

    async def ping(self) -> str:
        """Fail."""
        raise SandboxUnavailableError("Docker does not answer.")


async def _told(
    folder: Path, sandbox: Sandbox, network: str = "bridge", beats: int = 1
) -> list[WorkerBeat]:
    """Return what the store knows of the worker after each of its beats."""
    settings = Settings.read({"SAFEURL_STATE_DIR": str(folder), "CONTAINER_NETWORK": network})
    store, told = MemoryStore(), []
    beat = Heartbeat(settings, store, sandbox, "w1")
    for _ in range(beats):
        await beat.send()
        told += await store.workers(since=utc_now() - timedelta(minutes=1))
    return told


async def test_a_beat_names_the_worker_and_how_its_host_does(tmp_path: Path) -> None:
    """The process is the worker's, our parent; its start stays while the beats go on."""
    first, second = await _told(tmp_path, ScriptedSandbox(), beats=2)
    assert (first.id, first.host, first.pid) == ("w1", socket.gethostname(), os.getppid())
    assert (first.docker_ok, first.docker_detail) == (True, "scripted")
    assert first.disk_free_bytes > 0
    assert second.started_at == first.started_at <= first.beat_at < second.beat_at


async def test_a_docker_that_does_not_answer_is_told_of(tmp_path: Path) -> None:
    """The worker lives all the same."""
    [beat] = await _told(tmp_path, _NoDocker())
    assert (beat.docker_ok, beat.docker_detail) == (False, "Docker does not answer.")


@pytest.mark.parametrize(
    ("answers", "is_well"), [([True], True), ([False, True], True), ([False, False], False)]
)
async def test_a_gateway_that_has_just_begun_is_not_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: Sequence[bool], *, is_well: bool
) -> None:
    """It is asked a second time; where it is still away, no sandbox has a way out."""
    coming = iter(answers)

    class Gateway:
        """Answers when it does."""

        def __init__(self, folder: Path) -> None:
            self.folder = folder

        async def ping(self) -> None:
            """Answer, or fail."""
            if not next(coming):
                raise EgressUnavailableError(f"The egress gateway in {self.folder} is away.")

    monkeypatch.setattr("worker.runtime.heartbeat.EgressClient", Gateway)
    monkeypatch.setattr("worker.runtime.heartbeat._GATEWAY_STARTS_S", 0.0)
    [beat] = await _told(tmp_path, ScriptedSandbox(), network="none")
    assert beat.docker_ok is is_well
    assert beat.docker_detail.startswith("scripted" if is_well else "The egress gateway")
    assert list(coming) == []


async def test_a_worker_that_cannot_sign_off_ends_all_the_same(tmp_path: Path) -> None:
    """Its row is forgotten when nothing more is heard of it."""

    class Away(MemoryStore):
        async def remove_worker(self, worker_id: str) -> None:
            """Fail."""
            raise StoreUnavailableError(f"Nobody hears {worker_id}.")

    settings = Settings.read({"SAFEURL_STATE_DIR": str(tmp_path)})
    await Heartbeat(settings, Away(), ScriptedSandbox(), "w1").remove()
