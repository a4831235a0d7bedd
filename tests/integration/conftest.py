"""The runtimes that tests of the sandbox's walls and caps run under."""

import pytest

from tests.support.runtimes import RUNTIMES, need


@pytest.fixture(scope="session", params=RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    """Return one OCI runtime that the engine must have."""
    return need(request.param)
