"""Shared fixtures: OCI runtimes for the tests of the sandbox, a gateway, and a server for it."""

import socket
from collections.abc import Iterator

import pytest

from tests.support.egress import TIMEOUT_S, GatewayProcess
from tests.support.runtimes import RUNTIMES, need


@pytest.fixture(scope="session", params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    """Return one OCI runtime that the engine must have."""
    return need(request.param)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """Start one gateway for all tests of a module; each test has its own sockets."""
    with GatewayProcess(tmp_path_factory.mktemp("egress")) as running:
        yield running


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """Listen at the target of tunnels and requests; a test accepts and responds as the server."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(TIMEOUT_S)
        yield listener
