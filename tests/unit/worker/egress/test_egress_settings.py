"""The gateway's settings: DNS servers in every spelling, and its folder."""

from pathlib import Path

import pytest

from safeurl.errors import ConfigError
from safeurl.settings import Settings
from worker.egress.gateway.traffic.accounting import MAX_ENTRIES


def test_resolvers_are_read_with_and_without_a_port() -> None:
    """Each becomes address and port; IPv6 has brackets."""
    text = "192.0.2.53, 192.0.2.53:5353, 2001:db8::53, [2001:db8::53]:5353"
    assert Settings.read({"EGRESS_RESOLVER": text}).egress_resolver == (
        "192.0.2.53:53",
        "192.0.2.53:5353",
        "[2001:db8::53]:53",
        "[2001:db8::53]:5353",
    )


@pytest.mark.parametrize(
    "text", ["dns.test", "192.0.2.53:99999", "192.0.2.53:x", "[::1", "192.0.2.0/24", "u@192.0.2.1"]
)
def test_what_is_no_address_is_no_resolver(text: str) -> None:
    """A name would need a look-up first; the fault names the variable."""
    with pytest.raises(ConfigError, match="EGRESS_RESOLVER"):
        Settings.read({"EGRESS_RESOLVER": text})


def test_the_folder_is_in_the_state_folder_unless_another_is_named() -> None:
    """Both are absolute, because other processes have other working folders."""
    state = {"SAFEURL_STATE_DIR": "/state"}
    assert Settings.read(state).gateway_dir == Path("/state/egress")
    assert Settings.read(state | {"EGRESS_DIR": "/run/x"}).gateway_dir == Path("/run/x")
    assert Settings.read(state | {"EGRESS_DIR": "x"}).gateway_dir == Path.cwd() / "x"


def test_no_scan_may_ask_for_more_connections_than_are_recorded() -> None:
    """Otherwise the evidence could lack a connection that was made."""
    most = {"EGRESS_MAX_CONNECTIONS": str(MAX_ENTRIES)}
    assert Settings.read(most).egress_max_connections == MAX_ENTRIES
    with pytest.raises(ConfigError, match="EGRESS_MAX_CONNECTIONS"):
        Settings.read({"EGRESS_MAX_CONNECTIONS": str(MAX_ENTRIES + 1)})
