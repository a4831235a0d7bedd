"""The caps of one scan: connections, bytes in each direction, and time."""

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.egress import (
    GatewayProcess,
    accept,
    connect,
    has_ended,
    lab_policy,
    refusal,
    tunnel,
    until,
    where_of,
)


def test_the_number_of_connections_is_capped(
    gateway: GatewayProcess, server: socket.socket
) -> None:
    """Every request counts, including refused ones."""
    directory = gateway.open(lab_policy(max_connections=2))[1]
    assert refusal(directory, "10.0.0.1:80") == "private"
    assert refusal(directory, where_of(server)) == ""
    assert refusal(directory, where_of(server)) == "cap_connections"


def test_a_sandbox_that_goes_on_asking_is_no_longer_read(gateway: GatewayProcess) -> None:
    """Beyond the cap, some requests get a response with the rule; the rest are closed."""
    socket_id, directory = gateway.open(lab_policy(max_connections=1))
    told = [refusal(directory, "10.0.0.1:80") for _ in range(65)]
    assert (told[0], set(told[1:])) == ("private", {"cap_connections"})
    for _ in range(20):
        with connect(directory) as connection:
            assert has_ended(connection)
    evidence = gateway.evidence(socket_id)
    assert (evidence.requests, len(evidence.decisions), evidence.dropped) == (85, 65, 20)


def test_open_connections_are_capped(gateway: GatewayProcess, server: socket.socket) -> None:
    """A connection beyond the cap is refused at once; when another ends, the next is accepted."""
    directory = gateway.open(lab_policy(max_concurrent=2))[1]
    first, second = (tunnel(directory, where_of(server))[0] for _ in range(2))
    with second:
        connection, answer = tunnel(directory, where_of(server))
        connection.close()
        assert (answer.status, answer.reason) == (429, "cap_concurrent")
        first.close()
        until(lambda: refusal(directory, where_of(server)) == "")


def test_connections_that_say_nothing_are_capped(
    gateway: GatewayProcess, server: socket.socket
) -> None:
    """Some connections beyond the open ones may wait; further ones are dropped and recorded."""
    socket_id, directory = gateway.open(lab_policy(max_concurrent=1))
    with ExitStack() as stack:
        silent = [stack.enter_context(connect(directory)) for _ in range(70)]
        assert has_ended(silent[-1])
        rules = [each.rule for each in gateway.evidence(socket_id).decisions]
        assert rules == ["cap_concurrent"] * 5
    until(lambda: _opens(directory, where_of(server)))


def _opens(directory: Path, where: str) -> bool:
    """Return True if a tunnel opens; it may be dropped while others are closing."""
    try:
        return refusal(directory, where) == ""
    except OSError:
        return False


@pytest.mark.parametrize("direction", ["in", "out"])
def test_bytes_are_capped_each_way(
    gateway: GatewayProcess, server: socket.socket, direction: str
) -> None:
    """Up to the cap all bytes pass; one more byte cuts this connection and refuses the next."""
    caps = {"max_bytes_in": 10_000} if direction == "in" else {"max_bytes_out": 10_000}
    socket_id, directory = gateway.open(lab_policy(**caps))
    connection, _ = tunnel(directory, where_of(server))
    with connection, accept(server) as accepted:
        source, sink = (accepted, connection) if direction == "in" else (connection, accepted)
        source.sendall(b"a" * 10_000)
        assert sink.recv(10_000, socket.MSG_WAITALL) == b"a" * 10_000
        source.sendall(b"b")
        assert sink.recv(1) == b""
    assert refusal(directory, where_of(server)) == "cap_bytes"
    first, second = gateway.evidence(socket_id).decisions
    assert (first.allowed, first.outcome) == (True, "cap_bytes")
    assert (second.allowed, second.rule) == (False, "cap_bytes")
    assert first.bytes_in + first.bytes_out == 10_000


def test_time_is_capped(gateway: GatewayProcess, server: socket.socket) -> None:
    """At the deadline open connections are cut, and later requests are refused."""
    socket_id, directory = gateway.open(lab_policy(), deadline_s=0.5)
    connection, _ = tunnel(directory, where_of(server))
    with connection, accept(server) as accepted:
        assert connection.recv(1) == b""
        assert accepted.recv(1) == b""
    connection, answer = tunnel(directory, where_of(server))
    connection.close()
    assert (answer.status, answer.reason) == (429, "cap_time")
    assert gateway.evidence(socket_id).decisions[0].outcome == "cap_time"
