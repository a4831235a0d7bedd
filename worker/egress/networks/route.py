"""Parses routes and interface addresses from rtnetlink messages (rtnetlink(7))."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Final

from safeurl.address import Address, Network

#: Address families.
IPV4: Final = 2
IPV6: Final = 10
_BYTES: Final = {IPV4: 4, IPV6: 16}

#: `struct rtmsg`: family, length of destination and source, tos, table, protocol, scope, type,
#: flags. `struct rtnexthop`: length, flags, hops, interface. `struct ifaddrmsg`: family, prefix
#: length, flags, scope, interface. `struct rtattr`: length, type.
_RTMSG: Final = struct.Struct("=8BI")
_NEXT_HOP: Final = struct.Struct("=H2Bi")
_IFADDR: Final = struct.Struct("=4BI")
_ATTRIBUTE: Final = struct.Struct("=2H")
_NUMBER: Final = struct.Struct("=I")
#: The upper bits of an attribute's type are flags.
_TYPE_MASK: Final = 0x3FFF

_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_MULTIPATH, _RTA_TABLE, _RTA_VIA = 1, 4, 5, 9, 15, 18
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
#: A cache entry for one destination (a smaller MTU, a redirect); nobody configured it.
_CLONED: Final = 0x200


class Kind(IntEnum):
    """The kind of a route (`rtm_type`); routes of other kinds refuse the destination."""

    UNICAST = 1
    LOCAL = 2
    BROADCAST = 3
    ANYCAST = 4
    MULTICAST = 5


@dataclass(frozen=True, slots=True)
class Route:
    """One route of one table."""

    network: Network
    #: A `Kind`, or a number that this program does not know.
    kind: int
    table: int = 0
    #: Outgoing interfaces and next hops; several if the route has several paths.
    interfaces: tuple[int, ...] = ()
    hops: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """An address of an interface, and its network."""

    local: Address
    #: The network of the link, or of the peer of a point-to-point link.
    network: Network


def read_route(body: bytes) -> Route | None:
    """Parse the body of an RTM_NEWROUTE; None for a cache entry or another address family.

    Raises ValueError or struct.error if it is truncated.
    """
    family, length, _, _, table, _, _, kind, flags = _RTMSG.unpack_from(body)
    if family not in _BYTES or flags & _CLONED:
        return None
    found = dict(_attributes(body[_RTMSG.size :]))
    destination = _address(found.get(_RTA_DST, bytes(_BYTES[family])))
    interfaces, hops = _next_hops(found)
    for each in _paths(found.get(_RTA_MULTIPATH, b"")):
        interfaces += each[0]
        hops += each[1]
    if _RTA_TABLE in found:
        (table,) = _NUMBER.unpack(found[_RTA_TABLE])
    network = ip_network((destination, length), strict=False)
    return Route(network, kind, table, interfaces, hops)


def read_address(body: bytes) -> InterfaceAddress | None:
    """Parse the body of an RTM_NEWADDR; None for another family. Raises like `read_route`."""
    family, length, *_ = _IFADDR.unpack_from(body)
    if family not in _BYTES:
        return None
    found = dict(_attributes(body[_IFADDR.size :]))
    # If IFA_LOCAL is present and differs, IFA_ADDRESS is the peer's address.
    local = found.get(_IFA_LOCAL) or found[_IFA_ADDRESS]
    peer = _address(found.get(_IFA_ADDRESS, local))
    return InterfaceAddress(_address(local), ip_network((peer, length), strict=False))


def _next_hops(found: dict[int, bytes]) -> tuple[tuple[int, ...], tuple[Address, ...]]:
    interfaces = _NUMBER.unpack(found[_RTA_OIF]) if _RTA_OIF in found else ()
    hops: tuple[Address, ...] = ()
    if _RTA_GATEWAY in found:
        hops += (_address(found[_RTA_GATEWAY]),)
    if _RTA_VIA in found:
        # A next hop of the other family; its first two bytes are the family.
        hops += (_address(found[_RTA_VIA][2:]),)
    return interfaces, hops


def _paths(data: bytes) -> Iterator[tuple[tuple[int, ...], tuple[Address, ...]]]:
    while len(data) >= _NEXT_HOP.size:
        length, _, _, interface = _NEXT_HOP.unpack_from(data)
        if length < _NEXT_HOP.size:
            raise ValueError("a path is too short")
        hops = _next_hops(dict(_attributes(data[_NEXT_HOP.size : length])))[1]
        yield (interface,), hops
        data = data[_aligned(length) :]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if not _ATTRIBUTE.size <= length <= len(data):
            raise ValueError("an attribute is truncated")
        yield kind & _TYPE_MASK, data[_ATTRIBUTE.size : length]
        data = data[_aligned(length) :]


def _address(data: bytes) -> Address:
    return IPv4Address(data) if len(data) == _BYTES[IPV4] else IPv6Address(data)


def _aligned(length: int) -> int:
    """Return the length rounded up to a multiple of four, where the next structure begins."""
    return (length + 3) & ~3
