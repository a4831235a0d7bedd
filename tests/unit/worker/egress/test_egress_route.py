"""The kernel's messages about routes and addresses, as bytes."""

import contextlib
import struct
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.egress.networks.route import (
    IPV4,
    IPV6,
    InterfaceAddress,
    Kind,
    Route,
    read_address,
    read_route,
)


def _attribute(kind: int, data: bytes) -> bytes:
    padding = bytes(-len(data) % 4)
    return struct.pack("=2H", len(data) + 4, kind) + data + padding


def _route(family: int, length: int, *attributes: bytes, kind: int = 1, flags: int = 0) -> bytes:
    head = struct.pack("=8BI", family, length, 0, 0, 254, 0, 0, kind, flags)
    return head + b"".join(attributes)


def _packed(text: str) -> bytes:
    return ip_address(text).packed


def _path(interface: int, hop: str) -> bytes:
    gateway = _attribute(5, _packed(hop))
    return struct.pack("=H2Bi", 8 + len(gateway), 0, 0, interface) + gateway


def test_a_route_with_all_that_is_read() -> None:
    """Destination, table beyond 255, interface and next hop; other attributes are ignored."""
    body = _route(
        *(IPV4, 24, _attribute(1, _packed("9.1.2.0")), _attribute(4, b"\3\0\0\0")),
        *(_attribute(5, _packed("9.9.9.9")), _attribute(15, struct.pack("=I", 70_000))),
        *(_attribute(6, b"\1\0\0\0"), _attribute(8 | 0x8000, b"nested")),
    )
    hops = (ip_address("9.9.9.9"),)
    assert read_route(body) == Route(ip_network("9.1.2.0/24"), Kind.UNICAST, 70_000, (3,), hops)


def test_paths_and_a_next_hop_of_the_other_family() -> None:
    """Each path is read, wherever the message has it."""
    paths = _attribute(9, _path(3, "9.0.0.1") + _path(4, "9.0.0.2"))
    via = _attribute(18, struct.pack("=H", IPV6) + _packed("fe80::1"))
    read = read_route(_route(IPV4, 0, paths, via))
    assert read is not None
    assert read.network == ip_network("0.0.0.0/0")
    assert read.interfaces == (3, 4)
    assert set(map(str, read.hops)) == {"9.0.0.1", "9.0.0.2", "fe80::1"}


@pytest.mark.parametrize("body", [_route(129, 0), _route(IPV4, 32, flags=0x200)])
def test_multicast_routes_and_cached_ones_are_no_routes(body: bytes) -> None:
    """A cache entry of the kernel is not a network."""
    assert read_route(body) is None


def test_the_far_end_of_a_point_to_point_link() -> None:
    """The network is the peer's, the address is ours."""
    head = struct.pack("=4BI", IPV4, 32, 0, 0, 2)
    body = head + _attribute(1, _packed("9.0.0.2")) + _attribute(2, _packed("9.0.0.1"))
    expected = InterfaceAddress(ip_address("9.0.0.1"), ip_network("9.0.0.2/32"))
    assert read_address(body) == expected


@given(st.binary(max_size=80), st.sampled_from([IPV4, IPV6, 0]))
def test_what_is_cut_short_is_an_error_and_nothing_else(tail: bytes, family: int) -> None:
    """Only those errors that the reader of messages catches."""
    for read in (read_route, read_address):
        for body in (bytes([family]) + tail, _route(family, 8) + tail, tail):
            with contextlib.suppress(ValueError, LookupError, struct.error):
                read(body)
