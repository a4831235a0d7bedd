"""Which users may control the gateway, from the setting and the sandboxes' ids."""

import os
import pwd
import socket

import pytest

from safeurl.errors import ConfigError
from safeurl.settings import Settings
from worker.egress.gateway.peers import NOBODY, Peer, Peers, peer_of

_SANDBOXES = range(70_000, 70_100)


def test_root_the_own_user_and_those_named_are_served() -> None:
    """Users of the setting are allowed, by name or by number; no others are."""
    daemon = pwd.getpwnam("daemon").pw_uid
    peers = Peers(501, [502, daemon], _SANDBOXES)
    served = {
        uid for uid in (0, 501, 502, daemon, 503, NOBODY, 70_000) if peers.admits(Peer(1, uid))
    }
    assert served == {0, 501, 502, daemon}


@pytest.mark.parametrize("uid", [NOBODY, 70_000, 70_099])
def test_a_sandboxs_user_is_never_served(uid: int) -> None:
    """Neither the setting nor the gateway's own user may be a sandbox's id."""
    with pytest.raises(ConfigError, match=f"EGRESS_CONTROL_USERS is the user id {uid}"):
        Peers(501, [502, uid], _SANDBOXES)
    with pytest.raises(ConfigError, match="own is the user id"):
        Peers(uid, (), _SANDBOXES)


def test_every_fault_of_the_setting_is_reported_at_once() -> None:
    """A name without a user is a fault, and so is text that is neither a name nor a number."""
    with pytest.raises(ConfigError) as caught:
        Peers.read(["no-such-user-1", "0", "no-such-user-2"])
    assert len(caught.value.faults) == 2
    with pytest.raises(ConfigError, match=str(NOBODY)):
        Peers.read([pwd.getpwuid(NOBODY).pw_name])
    for wrong in ("-1", "a b", "Ä", "1.5", "10000000000"):
        with pytest.raises(ConfigError, match="EGRESS_CONTROL_USERS"):
            Settings.read({"EGRESS_CONTROL_USERS": wrong})
    given = Settings.read({"EGRESS_CONTROL_USERS": " safeurl , 65522"})
    assert given.egress_control_users == ("safeurl", "65522")


def test_the_kernel_says_who_connected() -> None:
    """Process and user are those at the time of the connect."""
    near, far = socket.socketpair(socket.AF_UNIX)
    with near, far:
        assert peer_of(near) == Peer(os.getpid(), os.geteuid())
