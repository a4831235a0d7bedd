"""Decides which users may control the gateway, by the credentials of the control socket."""

import os
import pwd
import socket
import struct
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Final

from safeurl.errors import ConfigError

#: `struct ucred`: process, user, group, at the time of the connect (unix(7)).
_UCRED: Final = struct.Struct("=iII")
_ROOT: Final = 0
#: The user `nobody`. Many containers run as this user, and the kernel reports this id for users
#: that our user namespace does not map. So a process with this id may be anybody's.
NOBODY: Final = 65534


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end of a unix socket, as the kernel reports it."""

    pid: int
    uid: int


def peer_of(connection: socket.socket) -> Peer:
    """Return the process that connected, as the kernel reports it."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, _ = _UCRED.unpack(credentials)
    return Peer(pid, uid)


class Peers:
    """The allowed users: root, who controls the host anyway, our own user, and named ones."""

    def __init__(self, own: int, named: Iterable[int] = (), sandboxes: Container[int] = ()) -> None:
        """Take user ids; raise `ConfigError` if one may be the id of a sandbox."""
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
        """Parse the setting's user names and ids; raise `ConfigError` with every fault."""
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
        """Return True if the process may control the gateway."""
        return peer.uid in self._allowed
