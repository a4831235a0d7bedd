"""Connections of a sandbox's socket that fail because of a defect of the gateway."""

import asyncio
import logging
from pathlib import Path

import pytest

from tests.support.egress import ask, connect, connect_head, has_ended
from worker.egress.gateway.channel import Channel
from worker.egress.gateway.dns.resolver import Resolver
from worker.egress.gateway.traffic.connection import SharedResources
from worker.egress.protocol import SOCKET_NAME, Bind
from worker.egress.unix_socket import listen_in


class _FailingResolver(Resolver):
    async def addresses(self, name: str) -> tuple[str, ...]:
        raise LookupError(name)


def _fail_on(directory: Path) -> bool:
    with connect(directory) as connection:
        connection.sendall(connect_head("site.test:80"))
        return has_ended(connection)


async def test_no_fault_of_a_connection_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each failure is recorded, the first one is logged, and the socket continues to serve."""
    with caplog.at_level(logging.ERROR):
        async with asyncio.timeout(30):
            listener = listen_in(tmp_path, SOCKET_NAME, 0o600, 8)
            channel = Channel(listener, SharedResources(_FailingResolver()))
            channel.open()
            channel.bind(Bind(id="0" * 16, scan="s", attempt=1, deadline_s=30))
            for _ in range(3):
                assert await asyncio.to_thread(_fail_on, tmp_path)
            response = await asyncio.to_thread(ask, tmp_path, connect_head("10.0.0.1:80"))
            assert response.reason == "private"
            decisions = (await channel.close()).decisions
    assert [each.outcome for each in decisions] == ["gateway_failed"] * 3 + [""]
    assert [record.getMessage() for record in caplog.records] == ["egress.connection_failed scan=s"]
