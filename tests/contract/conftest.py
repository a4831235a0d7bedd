"""The implementations that the suite runs over."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from safeurl.ports.store import Store
from tests.support.stores import STORES, OpenStore


@pytest.fixture(params=STORES, ids=lambda each: str(each.__name__))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Open each store in turn, with an empty database."""
    open_store: OpenStore = request.param
    async with open_store(tmp_path) as opened:
        yield opened
