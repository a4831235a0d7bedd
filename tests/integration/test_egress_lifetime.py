"""Sockets and gateways that end: in order, by time, by kill; nothing stale is left behind."""

import asyncio
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from safeurl.errors import EgressLostError, EgressUnavailableError
from tests.bench.egress import idle_megabytes
from tests.support.egress import (
    GatewayProcess,
    ask,
    connect,
    connect_head,
    has_ended,
    refusal,
    tunnel,
)
from worker.egress.client import EgressClient
from worker.egress.connection import Means
from worker.egress.gateway import Gateway
from worker.egress.place import short_path
from worker.egress.protocol import CONTROL_NAME, SOCKETS_NAME, Bind, EgressPolicy
from worker.egress.resolver import Resolver

_PATIENCE_S = 15.0


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_and_a_mount_reach_a_socket(tmp_path: Path) -> None:
    """The folder is the owner's; inside it a sandbox's socket is open to any user, by design."""
    with GatewayProcess(tmp_path) as gateway:
        directory = gateway.open()[1]
        assert directory.parent.parent == gateway.egress_dir
        assert _mode(gateway.egress_dir) == 0o700
        assert _mode(gateway.egress_dir / CONTROL_NAME) == 0o600
        assert _mode(directory) == 0o755
        assert [(each.name, _mode(each)) for each in directory.iterdir()] == [
            ("egress.sock", 0o666)
        ]


def test_a_group_that_may_enter_may_speak_to_the_gateway(tmp_path: Path) -> None:
    """So a worker of another user reaches a gateway whose folder lets its group in."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o710)
    with GatewayProcess(tmp_path, {"EGRESS_DIR": str(shared)}) as gateway:
        assert _mode(shared / CONTROL_NAME) == 0o660
        assert gateway.answers()


def test_closing_cuts_removes_and_tells(tmp_path: Path) -> None:
    """A tunnel in use ends, its folder goes, its bytes are told, and the id is forgotten."""
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
    """The socket stays unbound, and the answer says what was wrong."""
    with GatewayProcess(tmp_path) as gateway:
        made = gateway.create()
        for bad in (EgressPolicy(deny_cidrs=("house",)), EgressPolicy(allow_cidrs=("house",))):
            with pytest.raises(EgressUnavailableError, match="house"):
                gateway.bind(made.id, bad)
        assert refusal(Path(made.directory), "site.test:80") == "unbound"


def test_a_socket_that_nobody_binds_expires(tmp_path: Path) -> None:
    """It goes by itself; what was tried on it can still be read once."""
    with GatewayProcess(tmp_path, {"EGRESS_UNBOUND_SECONDS": "1"}) as gateway:
        made = gateway.create()
        directory = Path(made.directory)
        ask(directory, connect_head("site.test:80"))
        _until(lambda: not directory.exists())
        assert gateway.evidence(made.id).expired
        assert [each.rule for each in gateway.close(made.id).decisions] == ["unbound"]
        with pytest.raises(EgressLostError):
            gateway.close(made.id)


def test_a_socket_that_nobody_closes_expires(tmp_path: Path) -> None:
    """After the deadline and a grace a bound socket goes too, with its record kept."""

    async def outlive() -> None:
        gateway = Gateway(tmp_path, Means(Resolver()), unbound_s=60.0, grace_s=0.1)
        socket_id, directory = gateway.create()
        gateway.bind(Bind(id=socket_id, scan="s", attempt=3, deadline_s=0.1))
        await asyncio.to_thread(_until, lambda: not directory.exists())
        evidence = await gateway.close(socket_id)
        assert (evidence.attempt, evidence.expired) == (3, True)
        await gateway.close_all()

    asyncio.run(asyncio.wait_for(outlive(), _PATIENCE_S))


def test_heads_have_little_time(tmp_path: Path) -> None:
    """Half a request is answered, noted and cut; silence is cut without a word."""

    async def dawdle() -> None:
        means = Means(Resolver(), head_timeout_s=0.2)
        gateway = Gateway(tmp_path, means, unbound_s=60.0)
        socket_id, directory = gateway.create()
        half, silent = connect(directory), connect(directory)
        half.sendall(b"CONNECT site.te")
        with half, silent:
            assert await asyncio.to_thread(half.recv, 12) == b"HTTP/1.1 408"
            assert await asyncio.to_thread(silent.recv, 1) == b""
        evidence = await gateway.close(socket_id)
        assert [each.rule for each in evidence.decisions] == ["head_timeout"]

    asyncio.run(asyncio.wait_for(dawdle(), _PATIENCE_S))


def test_a_killed_gateway_leaves_nothing_to_its_successor(tmp_path: Path) -> None:
    """Stale sockets go, their ids are lost, and new ones work; what is not ours stays."""
    gateway = GatewayProcess(tmp_path)
    gateway.start()
    socket_id, directory = gateway.open()
    other = gateway.egress_dir / SOCKETS_NAME / "keep"
    other.mkdir()
    (other / "file").touch()
    gateway.kill()
    with pytest.raises(EgressUnavailableError):
        gateway.create()
    with pytest.raises(ConnectionRefusedError):
        connect(directory)
    with gateway:
        assert not directory.exists()
        assert (other / "file").exists()
        with pytest.raises(EgressLostError):
            gateway.close(socket_id)
        assert refusal(gateway.open(EgressPolicy())[1], "10.0.0.1:80") == "private"


def test_two_gateways_never_serve_one_folder(tmp_path: Path) -> None:
    """The second waits, touching nothing, until the first has ended; then it serves."""
    with GatewayProcess(tmp_path) as first:
        directory = first.open()[1]
        second = GatewayProcess(tmp_path)
        second.start(wait=False)
        third = GatewayProcess(tmp_path)
        third.start(wait=False)
        try:
            time.sleep(1.0)
            assert first.answers()
            assert directory.exists()
            # One that waits can be told to end.
            assert third.stop() != 0
            assert first.stop() == 0
            _until(second.answers)
        finally:
            third.kill()
            assert second.stop() == 0


def test_a_stopped_gateway_leaves_a_clean_folder(tmp_path: Path) -> None:
    """Open tunnels end, sockets and folders go, the exit code is 0."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        gateway = GatewayProcess(tmp_path)
        gateway.start()
        connection, _ = tunnel(gateway.open()[1], f"127.0.0.1:{server.getsockname()[1]}")
        gateway.create()
        with connection:
            assert gateway.stop() == 0
            assert connection.recv(1) == b""
    left = {str(path.relative_to(gateway.egress_dir)) for path in gateway.egress_dir.rglob("*")}
    assert left == {"gateway.lock", SOCKETS_NAME}


def test_a_folder_may_be_deep(tmp_path: Path) -> None:
    """A path longer than a unix socket's address is no obstacle, for neither side."""
    deep = tmp_path.joinpath(*["a-rather-long-folder-name"] * 6)
    with GatewayProcess(deep) as gateway:
        assert refusal(gateway.open(EgressPolicy())[1], "10.0.0.1:80") == "private"


def test_a_missing_gateway_is_unavailable(tmp_path: Path) -> None:
    """No folder, and a folder without a socket, are told as what they are."""
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(EgressUnavailableError, match="does not answer"):
            asyncio.run(EgressClient(folder).ping())


def test_the_control_socket_answers_line_by_line(tmp_path: Path) -> None:
    """Several requests on a connection; what is no request gets an answer, and no more."""
    with GatewayProcess(tmp_path) as gateway, socket.socket(socket.AF_UNIX) as control:
        control.settimeout(_PATIENCE_S)
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
    """The first 512 requests are told one by one, the others by number."""
    with GatewayProcess(tmp_path) as gateway:
        socket_id, directory = gateway.open(EgressPolicy())
        for _ in range(520):
            assert refusal(directory, "10.0.0.1:80") in {"private", "cap_connections"}
        evidence = gateway.close(socket_id)
    assert (len(evidence.decisions), evidence.dropped, evidence.requests) == (512, 8, 520)


def test_a_thousand_idle_tunnels_are_cheap(tmp_path: Path) -> None:
    """The gateway's whole memory stays under 100 MB."""
    assert idle_megabytes(tmp_path, 1000)[1] < 100


def test_the_gateway_loads_neither_docker_nor_a_database() -> None:
    """What holds the network has no code for the Docker socket, for Redis or for the store."""
    program = "import sys, worker.egress.server as _; print('\\n'.join(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = {name.partition(".")[0] for name in run.stdout.split()}
    assert loaded & {"docker", "sqlalchemy", "sqlmodel", "aiosqlite", "redis", "rq"} == set()
    assert "worker.sandbox" not in run.stdout.split()
