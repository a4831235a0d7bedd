"""A worker's heartbeat: the worker lives, and each part of its host works or has its reason."""

import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from safeurl.adapters.memory.store import MemoryStore
from safeurl.bootstrap import utc_now
from safeurl.errors import EgressUnavailableError, SandboxUnavailableError, StoreUnavailableError
from safeurl.model.worker import WORKING, PartStatus, WorkerHeartbeat, WorkerParts
from safeurl.ports.sandbox import Sandbox
from safeurl.settings import Settings
from tests.support.sandbox import ScriptedSandbox
from worker.runtime.heartbeat import Heartbeat, PingGateway


class _NoDocker(ScriptedSandbox):
    """An engine that does not answer."""

    async def ping(self) -> str:
        """Fail."""
        raise SandboxUnavailableError("Docker does not answer.")

    async def check_image(self) -> None:
        """Fail alike."""
        await self.ping()


class _NoImage(ScriptedSandbox):
    """An engine without the fetcher's image."""

    async def check_image(self) -> None:
        """Fail."""
        raise SandboxUnavailableError("The image is not on this host.")


def _gateway(*answers: bool) -> PingGateway:
    """Return a gateway that answers these requests and not those."""
    coming = iter(answers)

    async def ping() -> None:
        if not next(coming):
            raise EgressUnavailableError("The egress gateway in /x is away.")

    return ping


async def _sent(
    folder: Path,
    sandbox: Sandbox,
    ping_gateway: PingGateway | None = None,
    *,
    network: str = "none",
    count: int = 1,
) -> list[WorkerHeartbeat]:
    """Return the store's record of the worker after each of its heartbeats."""
    settings = Settings.read({"SAFEURL_STATE_DIR": str(folder), "CONTAINER_NETWORK": network})
    store, sent = MemoryStore(), []
    heartbeat = Heartbeat(
        settings,
        store,
        sandbox,
        "w1",
        ping_gateway=ping_gateway or _gateway(*[True] * count),
        gateway_start_s=0.0,
    )
    for _ in range(count):
        await heartbeat.send()
        sent += await store.workers(since=utc_now() - timedelta(minutes=1))
    return sent


def _without_disk(parts: WorkerParts) -> WorkerParts:
    """Return the parts but for the disk, which is that of the machine that runs the test."""
    return replace(parts, disk=WORKING)


async def test_a_heartbeat_names_the_worker_and_its_host(tmp_path: Path) -> None:
    """The process is the worker's, our parent; its start stays the same."""
    first, second = await _sent(tmp_path, ScriptedSandbox(), count=2)
    assert (first.id, first.host, first.pid) == ("w1", socket.gethostname(), os.getppid())
    assert first.docker_version == "scripted"
    assert _without_disk(first.parts) == WorkerParts()
    assert first.disk_free_bytes > 0
    assert second.started_at == first.started_at <= first.beat_at < second.beat_at


_AWAY = PartStatus(ok=False, reason="The egress gateway in /x is away.")
_NO_ENGINE = PartStatus(ok=False, reason="Docker does not answer.")
_ABSENT = PartStatus(ok=False, reason="The image is not on this host.")


@pytest.mark.parametrize(
    ("sandbox", "answers", "parts"),
    [
        (_NoDocker(), [True], WorkerParts(docker=_NO_ENGINE, image=_NO_ENGINE)),
        (_NoImage(), [True], WorkerParts(image=_ABSENT)),
        (ScriptedSandbox(), [False, False], WorkerParts(gateway=_AWAY)),
        (_NoImage(), [False, False], WorkerParts(image=_ABSENT, gateway=_AWAY)),
        (
            _NoDocker(),
            [False, False],
            WorkerParts(docker=_NO_ENGINE, image=_NO_ENGINE, gateway=_AWAY),
        ),
        # A gateway that starts is asked a second time.
        (ScriptedSandbox(), [False, True], WorkerParts()),
    ],
)
async def test_each_part_has_its_own_status(
    tmp_path: Path, sandbox: Sandbox, answers: Sequence[bool], parts: WorkerParts
) -> None:
    """A fault of one part has no effect on another, and the heartbeat is still sent."""
    [sent] = await _sent(tmp_path, sandbox, _gateway(*answers))
    assert _without_disk(sent.parts) == parts
    assert sent.docker_version == ("scripted" if parts.docker.ok else "")


async def test_a_gateway_that_is_not_used_is_not_asked(tmp_path: Path) -> None:
    """Sandboxes on the bridge have none."""
    [sent] = await _sent(tmp_path, ScriptedSandbox(), _gateway(), network="bridge")
    assert sent.parts.gateway == WORKING


async def test_a_state_folder_that_is_gone_is_a_part_with_its_reason(tmp_path: Path) -> None:
    """The heartbeat is still sent."""
    folder = tmp_path / "gone"
    [sent] = await _sent(folder, ScriptedSandbox())
    assert sent.disk_free_bytes == 0
    reason = f"{folder} cannot be used: No such file or directory."
    assert sent.parts.disk == PartStatus(ok=False, reason=reason, is_readable=False)


async def test_a_worker_whose_row_cannot_be_removed_ends_all_the_same(tmp_path: Path) -> None:
    """The row is removed later, when no heartbeat has come for a long time."""

    class Away(MemoryStore):
        async def remove_worker(self, worker_id: str) -> None:
            """Fail."""
            raise StoreUnavailableError(f"The row {worker_id} stays.")

    settings = Settings.read({"SAFEURL_STATE_DIR": str(tmp_path)})
    await Heartbeat(settings, Away(), ScriptedSandbox(), "w1").remove()
