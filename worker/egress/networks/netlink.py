"""Reads the kernel's routes and addresses, and detects changes (netlink(7))."""

import socket
import struct
import weakref
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from worker.egress.networks.route import InterfaceAddress, Route, read_address, read_route

T = TypeVar("T")

#: `struct nlmsghdr`: length, type, flags, sequence, port. `struct rtgenmsg`: the family; 0 is all.
_HEADER: Final = struct.Struct("=I2H2I")
_ANY_FAMILY: Final = b"\0\0\0\0"
_ERROR, _DONE = 2, 3
_NEW_ADDRESS, _GET_ADDRESS, _NEW_ROUTE, _GET_ROUTE = 20, 22, 24, 26
#: NLM_F_REQUEST | NLM_F_DUMP; and the kernel's flag that the list changed while it was sent.
_DUMP: Final = 0x301
_INTERRUPTED: Final = 0x10
#: RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE.
_CHANGES: Final = 0x10 | 0x40 | 0x100 | 0x400
#: The kernel sends a list in messages of at most 32 KiB.
_RECV_BYTES: Final = 128 * 1024
#: The kernel answers at once; the limit keeps an error from blocking the gateway.
_TIMEOUT_S: Final = 2.0
_MAX_TRIES: Final = 8
#: Notifications read at a time; the next call reads the others.
_MAX_NOTIFICATIONS: Final = 64


def list_routes() -> list[Route]:
    """Return the routes of every table of this network namespace, IPv4 and IPv6.

    Raises OSError if the kernel does not list them, or if they change during each try.
    """
    return _list(_GET_ROUTE, _NEW_ROUTE, read_route)


def list_addresses() -> list[InterfaceAddress]:
    """Return the addresses of all interfaces; raises like `list_routes`."""
    return _list(_GET_ADDRESS, _NEW_ADDRESS, read_address)


class ChangeListener:
    """Detects whether routes or addresses may have changed since the previous call.

    The kernel queues its notification before the command that changed a route returns. So a call
    after that command always detects the change.
    """

    def __init__(self) -> None:
        """Start to listen; raises OSError if the kernel refuses it."""
        self._socket = _open(_CHANGES)
        self._socket.setblocking(False)  # noqa: FBT003 - the method takes it by position only
        weakref.finalize(self, self._socket.close)

    def has_changed(self) -> bool:
        """Read the queued notifications; True if there was one or some were lost."""
        for count in range(_MAX_NOTIFICATIONS):
            try:
                self._socket.recv(_RECV_BYTES)
            except BlockingIOError:
                return count > 0
            except OSError:
                # ENOBUFS: there were more than the kernel's buffer holds.
                return True
        return True


def _open(groups: int = 0) -> socket.socket:
    opened = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
    )
    try:
        opened.bind((0, groups))
    except OSError:
        opened.close()
        raise
    return opened


def _list(request: int, answer: int, read: Callable[[bytes], T | None]) -> list[T]:
    """Return the items of one complete list; raise OSError if there is none."""
    for _ in range(_MAX_TRIES):
        with _open() as opened:
            opened.settimeout(_TIMEOUT_S)
            length = _HEADER.size + len(_ANY_FAMILY)
            opened.sendto(_HEADER.pack(length, request, _DUMP, 1, 0) + _ANY_FAMILY, (0, 0))
            try:
                bodies = _read_all(opened, answer)
                if bodies is not None:
                    found = map(read, bodies)
                    return [each for each in found if each is not None]
            except (struct.error, ValueError, LookupError) as error:
                raise OSError(f"the kernel's list of routes cannot be read: {error}") from error
    raise OSError("the routes change faster than they can be read")


def _read_all(opened: socket.socket, answer: int) -> list[bytes] | None:
    """Read to the end of the list; None if the list changed meanwhile."""
    bodies: list[bytes] = []
    is_whole = True
    while True:
        data, _, is_cut, sender = opened.recvmsg(_RECV_BYTES)
        if sender[0] != 0:
            continue  # only the kernel's messages count, not those of other processes
        if is_cut & socket.MSG_TRUNC:
            raise ValueError("a message is too long")
        for kind, flags, body in _messages(data):
            is_whole = is_whole and not flags & _INTERRUPTED
            if kind in {_DONE, _ERROR}:
                (number,) = struct.unpack_from("=i", body)
                if number < 0 or kind == _ERROR:
                    raise OSError(-number, "the kernel does not list its routes")
                return bodies if is_whole else None
            if kind == answer:
                bodies.append(body)


def _messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    while len(data) >= _HEADER.size:
        length, kind, flags, _, _ = _HEADER.unpack_from(data)
        if not _HEADER.size <= length <= len(data):
            raise ValueError("a message is truncated")
        yield kind, flags, data[_HEADER.size : length]
        data = data[(length + 3) & ~3 :]
