"""The settings of the warm pool."""

import pytest

from safeurl.errors import ConfigError
from safeurl.settings import Settings


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"POOL_SIZE": "auto"}, (True, None)),
        ({"POOL_SIZE": "3"}, (True, 3)),
        ({"POOL_SIZE": "0"}, (False, 0)),
        ({"POOL_SIZE": "000"}, (False, 0)),
        ({"POOL_SIZE": "auto", "CONTAINER_NETWORK": "bridge"}, (False, None)),
    ],
)
def test_which_hosts_have_a_pool(given: dict[str, str], expected: tuple[bool, int | None]) -> None:
    """A number, or the word; never on Docker's bridge."""
    settings = Settings.read(given)
    assert (settings.has_pool, settings.fixed_pool_size) == expected


@pytest.mark.parametrize("size", ["-1", "many", "1000", "1.5", "AUTO"])
def test_other_sizes_are_refused(size: str) -> None:
    """The fault names the setting."""
    with pytest.raises(ConfigError) as caught:
        Settings.read({"POOL_SIZE": size})
    assert caught.value.faults[0].startswith("POOL_SIZE: ")
