"""Sockets from creation to end: by request, by time, by cap; nothing stale remains."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from safeurl.errors import EgressLostError, EgressUnavailableError
from tests.support.egress import (
    TIMEOUT_S,
    GatewayProcess,
    ask,
    connect,
    connect_head,
    has_ended,
    refusal,
    tunnel,
    until,
)
from worker.egress.gateway.dns.resolver import Resolver
from worker.egress.gateway.member import serve_member
from worker.egress.gateway.registry import Gateway
from worker.egress.gateway.spawner import Spawner
from worker.egress.gateway.traffic.connection import SharedResources
from worker.egress.protocol import CONTROL_NAME, Bind, EgressPolicy
from worker.egress.unix_socket import short_path


@contextmanager
def _spawner(resources: SharedResources) -> Iterator[Spawner]:
    """Start the spawner for a gateway in this process."""
    spawner = Spawner.start(partial(serve_member, resources=resources))
    try:
        yield spawner
    finally:
        spawner.stop()


def test_closing_cuts_removes_and_tells(tmp_path: Path) -> None:
    """An open tunnel ends, its folder is removed, its bytes are reported, the id is forgotten."""
    with GatewayProcess(tmp_path) as gateway, socket.create_server(("127.0.0.1", 0)) as server:
        socket_id, directory = gateway.open()
        connection, _ = tunnel(directory, f"127.0.0.1:{server.getsockname()[1]}")
        with connection, server.accept()[0] as accepted:
            accepted.sendall(b"12345")
            assert connection.recv(5, socket.MSG_WAITALL) == b"12345"
            evidence = gateway.close(socket_id)
            assert connection.recv(1) == b""
            assert accepted.recv(1) == b""
        (decision,) = evidence.decisions
        assert (decision.outcome, decision.bytes_in) == ("closed", 5)
        assert (evidence.scan, evidence.attempt, evidence.expired) == ("s", 1, False)
        assert not directory.exists()
        for call in (gateway.close, gateway.evidence):
            with pytest.raises(EgressLostError):
                call(socket_id)


def test_a_socket_belongs_to_one_attempt(tmp_path: Path) -> None:
    """A second bind is refused and changes nothing."""
    with GatewayProcess(tmp_path) as gateway:
        socket_id, directory = gateway.open(EgressPolicy())
        with pytest.raises(EgressUnavailableError, match="already"):
            gateway.bind(socket_id, EgressPolicy(allow_cidrs=("127.0.0.0/8",)))
        assert refusal(directory, "127.0.0.1:8080") == "loopback"


def test_a_bad_policy_binds_nothing(tmp_path: Path) -> None:
    """The socket stays unbound, and the response contains the reason."""
    with GatewayProcess(tmp_path) as gateway:
        made = gateway.create()
        for bad in (EgressPolicy(deny_cidrs=("house",)), EgressPolicy(allow_cidrs=("house",))):
            with pytest.raises(EgressUnavailableError, match="house"):
                gateway.bind(made.id, bad)
        assert refusal(Path(made.directory), "site.test:80") == "unbound"


def test_a_socket_that_nobody_binds_expires(tmp_path: Path) -> None:
    """An unbound socket expires; its evidence can still be read once."""
    with GatewayProcess(tmp_path, {"EGRESS_UNBOUND_SECONDS": "1"}) as gateway:
        made = gateway.create()
        directory = Path(made.directory)
        ask(directory, connect_head("site.test:80"))
        until(lambda: not directory.exists())
        assert gateway.evidence(made.id).expired
        assert [each.rule for each in gateway.close(made.id).decisions] == ["unbound"]
        with pytest.raises(EgressLostError):
            gateway.close(made.id)


def test_a_socket_that_nobody_closes_expires(tmp_path: Path) -> None:
    """After the deadline and a grace period a bound socket expires too; its evidence is kept."""

    async def outlive(spawner: Spawner) -> None:
        gateway = Gateway(tmp_path, spawner, unbound_s=60.0, grace_s=0.1)
        socket_id, directory = await gateway.create()
        await gateway.bind(Bind(id=socket_id, scan="s", attempt=3, deadline_s=0.1))
        await asyncio.to_thread(until, lambda: not directory.exists())
        evidence = await gateway.close(socket_id)
        assert (evidence.attempt, evidence.expired) == (3, True)
        await gateway.close_all()

    with _spawner(SharedResources(Resolver())) as spawner:
        asyncio.run(asyncio.wait_for(outlive(spawner), TIMEOUT_S))


def test_heads_have_little_time(tmp_path: Path) -> None:
    """An incomplete request is answered, recorded and cut; a silent client is only cut."""

    async def dawdle(spawner: Spawner) -> None:
        gateway = Gateway(tmp_path, spawner, unbound_s=60.0)
        socket_id, directory = await gateway.create()
        half, silent = connect(directory), connect(directory)
        half.sendall(b"CONNECT site.te")
        with half, silent:
            assert await asyncio.to_thread(half.recv, 12) == b"HTTP/1.1 408"
            assert await asyncio.to_thread(silent.recv, 1) == b""
        evidence = await gateway.close(socket_id)
        assert [each.rule for each in evidence.decisions] == ["head_timeout"]
        await gateway.close_all()

    with _spawner(SharedResources(Resolver(), head_timeout_s=0.2)) as spawner:
        asyncio.run(asyncio.wait_for(dawdle(spawner), TIMEOUT_S))


def test_the_control_socket_answers_line_by_line(tmp_path: Path) -> None:
    """A connection carries several requests; an invalid line gets a response, and no more."""
    with GatewayProcess(tmp_path) as gateway, socket.socket(socket.AF_UNIX) as control:
        control.settimeout(TIMEOUT_S)
        with short_path(gateway.egress_dir, CONTROL_NAME) as path:
            control.connect(path)
        with control.makefile("rb") as answers:
            for line, expected in (
                (b'{"op":"ping"}', b'"answer":"pong"'),
                (b'{"op":"create"}', b'"answer":"created"'),
                (b'{"op":"create","more":1}', b'"bad_request"'),
                (b'{"op":"collect","id":"../../../../x"}', b'"bad_request"'),
                (b'{"op":"collect","id":"0123456789abcdef"}', b'"unknown_socket"'),
                (b'{"op":"dance"}', b'"bad_request"'),
                (b"\xff\x00", b'"bad_request"'),
                (b'{"op":"ping"}', b'"answer":"pong"'),
            ):
                control.sendall(line + b"\n")
                assert expected in answers.readline(), line
            control.sendall(b"x" * 100_000)
            assert has_ended(control)
        assert gateway.answers()


def test_a_flood_is_remembered_by_its_sums(tmp_path: Path) -> None:
    """The first 512 requests are recorded one by one, the others as a number."""
    with GatewayProcess(tmp_path) as gateway:
        socket_id, directory = gateway.open(EgressPolicy())
        for _ in range(520):
            assert refusal(directory, "10.0.0.1:80") in {"private", "cap_connections"}
        evidence = gateway.close(socket_id)
    assert (len(evidence.decisions), evidence.dropped, evidence.requests) == (512, 8, 520)
