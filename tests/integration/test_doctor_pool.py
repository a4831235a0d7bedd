"""The doctor's check of the pool finds an anchor that has more of a network than it should."""

import asyncio
import time
from datetime import datetime
from typing import Any

import pytest

from safeurl.settings import Settings
from tests.support.images import SOCKET_PATH
from tests.support.sandbox_lab import clear, instance_name, leftovers
from worker.doctor.checks.isolation_checks import ISOLATION_CHECKS, ExpectedSandbox
from worker.doctor.finding import Finding, Status
from worker.doctor.pool_walls import MakeBody, pool_walls
from worker.doctor.probe_runner import ProbeRunner
from worker.sandbox.options import ENVIRONMENT, SandboxSettings, anchor_options, container_options

_CHECKS = [each for each in ISOLATION_CHECKS if each.vector in {"interfaces", "routes"}]


def _on_bridge(settings: SandboxSettings, pool: str, deadline_at: datetime) -> dict[str, Any]:
    """Return an anchor on Docker's bridge."""
    body = anchor_options(settings, pool, deadline_at)
    body["HostConfig"]["NetworkMode"] = "bridge"
    return body


def _found(make_body: MakeBody) -> Finding:
    """Run the check with such an anchor."""
    instance = instance_name()
    image = Settings.read({}).fetcher_image
    settings = SandboxSettings(image=image, instance=instance, network="none", runtime="runc")
    expected = ExpectedSandbox(environment=frozenset({"HOSTNAME=sandbox", *ENVIRONMENT}))
    task = {"vectors": [each.vector for each in _CHECKS]}

    async def check() -> Finding:
        runner = ProbeRunner(
            settings=settings,
            socket_path=SOCKET_PATH,
            options=container_options,
            token=instance[-8:],
            until=time.monotonic() + 60,
            slots=asyncio.Semaphore(1),
        )
        return await pool_walls(runner, task, _CHECKS, expected, make_body)

    try:
        finding = asyncio.run(check())
        assert leftovers(instance) == []
    finally:
        clear(instance)
    return finding


@pytest.mark.parametrize(
    ("make_body", "status"), [(anchor_options, Status.PASS), (_on_bridge, Status.FAIL)]
)
def test_an_anchor_has_loopback_alone(make_body: MakeBody, status: Status) -> None:
    """An anchor of ours passes; one on a bridge is found by its interface and its route."""
    finding = _found(make_body)
    assert finding.status is status
    if status is Status.FAIL:
        assert "eth0" in finding.detail
        assert "sandbox-routes" in finding.detail
