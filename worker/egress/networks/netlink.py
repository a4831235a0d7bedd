"""Asks the kernel for its routes and addresses, and notices when they change (netlink(7))."""

import socket
import struct
import weakref
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from worker.egress.networks.route import InterfaceAddress, Route, read_address, read_route

T = TypeVar("T")

#: `struct nlmsghdr`: length, type, flags, sequence, port. `struct rtgenmsg`: the family, all here.
_HEADER: Final = struct.Struct("=I2H2I")
_ANY_FAMILY: Final = b"\0\0\0\0"
_ERROR, _DONE = 2, 3
_NEW_ADDRESS, _GET_ADDRESS, _NEW_ROUTE, _GET_ROUTE = 20, 22, 24, 26
#: NLM_F_REQUEST | NLM_F_DUMP; and the kernel's sign that what it listed changed meanwhile.
_DUMP: Final = 0x301
_INTERRUPTED: Final = 0x10
#: RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE.
_CHANGES: Final = 0x10 | 0x40 | 0x100 | 0x400
#: The kernel sends lists in pieces of at most 32 KiB.
_PIECE_BYTES: Final = 128 * 1024
#: It answers at once; this only keeps a fault from holding the gateway for ever.
_ANSWER_S: Final = 2.0
_MAX_TRIES: Final = 8
#: Notices taken at a time. Where there are more, the next look finds them.
_MAX_NOTICES: Final = 64


def list_routes() -> list[Route]:
    """Return the routes of every table of this network namespace, IPv4 and IPv6.

    Raises OSError where the kernel does not say, or not twice the same.
    """
    return _list(_GET_ROUTE, _NEW_ROUTE, read_route)


def list_addresses() -> list[InterfaceAddress]:
    """Return the addresses of all interfaces; raises as `list_routes`."""
    return _list(_GET_ADDRESS, _NEW_ADDRESS, read_address)


class ChangeNotice:
    """Says whether routes or addresses may have changed since it was asked last.

    The kernel queues its notice before the command that changed a route returns, so no change is
    missed by who asks after it.
    """

    def __init__(self) -> None:
        """Begin to listen; raises OSError where the kernel does not let us."""
        self._socket = _open(_CHANGES)
        self._socket.setblocking(False)  # noqa: FBT003 - the method takes it by position only
        weakref.finalize(self, self._socket.close)

    def has_changed(self) -> bool:
        """Take the notices that have come; true where there was one, or where some were lost."""
        for count in range(_MAX_NOTICES):
            try:
                self._socket.recv(_PIECE_BYTES)
            except BlockingIOError:
                return count > 0
            except OSError:
                # ENOBUFS: there were more than the kernel keeps.
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
    """Return what a request for all there is was answered; OSError where it was not."""
    for _ in range(_MAX_TRIES):
        with _open() as asked:
            asked.settimeout(_ANSWER_S)
            length = _HEADER.size + len(_ANY_FAMILY)
            asked.sendto(_HEADER.pack(length, request, _DUMP, 1, 0) + _ANY_FAMILY, (0, 0))
            try:
                bodies = _read_all(asked, answer)
                if bodies is not None:
                    found = map(read, bodies)
                    return [each for each in found if each is not None]
            except (struct.error, ValueError, LookupError) as error:
                raise OSError(f"the kernel's list of routes cannot be read: {error}") from error
    raise OSError("the routes change faster than they can be read")


def _read_all(asked: socket.socket, answer: int) -> list[bytes] | None:
    """Read up to the end of the list; None where it changed meanwhile."""
    bodies: list[bytes] = []
    is_whole = True
    while True:
        data, _, is_cut, sender = asked.recvmsg(_PIECE_BYTES)
        if sender[0] != 0:
            continue  # no process but the kernel is asked
        if is_cut & socket.MSG_TRUNC:
            raise ValueError("a piece is too long")
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
            raise ValueError("a message that is cut short")
        yield kind, flags, data[_HEADER.size : length]
        data = data[(length + 3) & ~3 :]
