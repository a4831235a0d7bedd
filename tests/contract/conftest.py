"""The implementations that the suite runs over."""

import pytest

from tests.support.stores import ROOMS, Room


@pytest.fixture(params=ROOMS, ids=lambda room: str(room.__name__))
def room(request: pytest.FixtureRequest) -> Room:
    """Return one way to open a store."""
    chosen: Room = request.param
    return chosen
