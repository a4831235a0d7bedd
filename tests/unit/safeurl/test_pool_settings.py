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
        # The gateway would remove the socket of a member as soon as the member is ready.
        ({"POOL_SIZE": "3", "EGRESS_UNBOUND_SECONDS": "1"}, (False, 3)),
        ({"POOL_SIZE": "3", "EGRESS_UNBOUND_SECONDS": "12"}, (True, 3)),
    ],
)
def test_which_hosts_have_a_pool(given: dict[str, str], expected: tuple[bool, int | None]) -> None:
    """A number, or the word; never on Docker's bridge."""
    settings = Settings.read(given)
    assert (settings.has_pool, settings.fixed_pool_size) == expected


@pytest.mark.parametrize(("ttl", "unbound", "used"), [(600, 900, 600), (3600, 900, 810)])
def test_members_are_gone_before_their_sockets(ttl: int, unbound: int, used: int) -> None:
    """Whatever POOL_TTL_SECONDS says."""
    given = {"POOL_TTL_SECONDS": str(ttl), "EGRESS_UNBOUND_SECONDS": str(unbound)}
    assert Settings.read(given).pool_member_seconds == used


@pytest.mark.parametrize("size", ["-1", "many", "1000", "1.5", "AUTO"])
def test_other_sizes_are_refused(size: str) -> None:
    """The fault names the setting."""
    with pytest.raises(ConfigError) as caught:
        Settings.read({"POOL_SIZE": size})
    assert caught.value.faults[0].startswith("POOL_SIZE: ")
