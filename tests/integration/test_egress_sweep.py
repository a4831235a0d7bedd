"""Sockets whose attempt has ended are closed, also if the worker that opened them is gone."""

import asyncio
from pathlib import Path

from safeurl.model.report import FetchRequest
from tests.support.egress import GatewayProcess
from worker.egress.client.adapter import GatewayEgress
from worker.egress.protocol import EgressPolicy

_MIN_AGE_S = 1.0


async def _open(gateway: GatewayProcess, scan: str, *, instance: str = "here") -> Path:
    egress = GatewayEgress(gateway.client, EgressPolicy(), instance=instance)
    request = FetchRequest(scan=scan, attempt=2, url="https://example.com/")
    return Path((await egress.open(request, deadline_s=60)).directory)


async def _is_over(scan: str, attempt: int) -> bool:
    assert attempt == 2
    return scan in {"over", "young"}


async def test_only_sockets_of_attempts_that_are_over_are_closed(gateway: GatewayProcess) -> None:
    """Sockets of running attempts, young and unbound ones, and those of other instances stay."""
    over, runs = await _open(gateway, "over"), await _open(gateway, "runs")
    theirs = await _open(gateway, "over", instance="there")
    unbound = Path((await gateway.client.create()).directory)
    await asyncio.sleep(_MIN_AGE_S + 0.2)
    young = await _open(gateway, "young")
    egress = GatewayEgress(gateway.client, EgressPolicy(), instance="here")
    assert await egress.sweep(_is_over, min_age_s=_MIN_AGE_S) == [over.name]
    assert not over.exists()
    assert all(each.exists() for each in (runs, theirs, unbound, young))
