"""Who may command the gateway: the user of the process at the other end of the control socket."""

import os
import pwd
import socket
import struct
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Final

from safeurl.errors import ConfigError

#: `struct ucred`: process, user, group; as they were when the other side connected (unix(7)).
_UCRED: Final = struct.Struct("=iII")
_ROOT: Final = 0
#: The user `nobody`. Containers commonly run as it, and the kernel shows users as it that our user
#: namespace does not know: whoever has this id may be anybody.
NOBODY: Final = 65534


@dataclass(frozen=True, slots=True)
class Peer:
    """A process at the other end of a unix socket, as the kernel knows it."""

    pid: int
    uid: int


def peer_of(connection: socket.socket) -> Peer:
    """Return who connected; nothing that the process itself says counts."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, _ = _UCRED.unpack(credentials)
    return Peer(pid, uid)


class Peers:
    """The users that are served: root, who rules the host anyway, our own, and those named."""

    def __init__(self, own: int, named: Iterable[int] = (), sandboxes: Container[int] = ()) -> None:
        """Take user ids; raise `ConfigError` where one could be a sandbox's."""
        named = frozenset(named)
        faults = [
            f"{whose} is the user id {uid}, which a sandbox may have. {advice}"
            for whose, uids, advice in (
                ("EGRESS_CONTROL_USERS", named, "Give the worker a user of its own."),
                ("The egress gateway's own", (own,), "Run the gateway as a user of its own."),
            )
            for uid in sorted(uids)
            if uid == NOBODY or uid in sandboxes
        ]
        if faults:
            raise ConfigError(tuple(faults))
        self._allowed = frozenset((_ROOT, own)) | named

    @classmethod
    def read(cls, users: Iterable[str], sandboxes: Container[int] = ()) -> "Peers":
        """Take the setting's names and numbers; raise `ConfigError` with every fault in them."""
        named: list[int] = []
        faults: list[str] = []
        for user in users:
            try:
                named.append(int(user) if user.isdecimal() else pwd.getpwnam(user).pw_uid)
            except KeyError:
                faults.append(f"EGRESS_CONTROL_USERS: there is no user {user!r}.")
        if faults:
            raise ConfigError(tuple(faults))
        return cls(os.geteuid(), named, sandboxes)

    def admits(self, peer: Peer) -> bool:
        """Tell whether the process may command the gateway."""
        return peer.uid in self._allowed
