"""`GatewayEgress.open` waits for its gateway, for a limited time."""

from pathlib import Path

import pytest

from safeurl.errors import EgressUnavailableError
from safeurl.model.report import FetchRequest
from worker.egress.client.adapter import GatewayEgress
from worker.egress.client.client import EgressClient
from worker.egress.protocol import EgressPolicy

REQUEST = FetchRequest(scan="s", attempt=1, url="https://example.com/")


async def test_a_gateway_that_stays_away_is_given_up(tmp_path: Path) -> None:
    """After the time limit it raises the error."""
    egress = GatewayEgress(EgressClient(tmp_path), EgressPolicy(), open_timeout_s=0.3)
    with pytest.raises(EgressUnavailableError):
        await egress.open(REQUEST, deadline_s=5)
