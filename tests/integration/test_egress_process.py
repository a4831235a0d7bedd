"""The gateway as a process: the modes of its folder, its end, and its memory."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from safeurl.errors import EgressLostError, EgressUnavailableError
from safeurl.model.report import FetchRequest
from tests.bench.egress import idle_megabytes
from tests.support.egress import GatewayProcess, connect, refusal, tunnel, until
from worker.egress.client.adapter import GatewayEgress
from worker.egress.client.client import EgressClient
from worker.egress.protocol import CONTROL_NAME, SOCKETS_NAME, EgressPolicy
from worker.sandbox.pool.gateway_session import GatewaySession


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_and_a_mount_reach_a_socket(tmp_path: Path) -> None:
    """The folder is the owner's; a sandbox's socket in it is open to every user."""
    with GatewayProcess(tmp_path) as gateway:
        directory = gateway.open()[1]
        assert directory.parent.parent == gateway.egress_dir
        assert _mode(gateway.egress_dir) == 0o700
        assert _mode(gateway.egress_dir / CONTROL_NAME) == 0o600
        assert _mode(directory) == 0o755
        assert [(each.name, _mode(each)) for each in directory.iterdir()] == [
            ("egress.sock", 0o666)
        ]


def test_the_umask_of_a_unit_does_not_close_the_folder(tmp_path: Path) -> None:
    """A worker of another user, allowed by its group, must see the folder that it mounts."""
    before = os.umask(0o077)
    try:
        gateway = GatewayProcess(tmp_path)
        gateway.start()
    finally:
        os.umask(before)
    try:
        directory = gateway.open()[1]
        assert (_mode(directory.parent), _mode(directory)) == (0o711, 0o755)
    finally:
        gateway.stop()


def test_a_group_that_may_enter_may_speak_to_the_gateway(tmp_path: Path) -> None:
    """A worker of another user reaches a gateway whose folder its group may enter."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o710)
    with GatewayProcess(tmp_path, {"EGRESS_DIR": str(shared)}) as gateway:
        assert _mode(shared / CONTROL_NAME) == 0o660
        assert gateway.answers()


def test_a_kept_connection_does_not_disturb_the_end(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The pool keeps a connection open; the gateway ends quietly and the pool sees it."""

    async def keep() -> None:
        session = await GatewaySession.open(gateway.egress_dir)
        await session.create()
        assert not session.is_lost
        assert await asyncio.to_thread(gateway.stop) == 0
        assert session.is_lost
        session.close()

    with GatewayProcess(tmp_path) as gateway:
        asyncio.run(keep())
    assert "Traceback" not in capfd.readouterr().err


def test_a_folder_of_another_users_gateway_is_left_alone(tmp_path: Path) -> None:
    """If a unit runs the gateway as another user, the worker's child waits for its signal."""
    folder = Path("/")
    if os.geteuid() == 0:
        folder = tmp_path / "theirs"
        folder.mkdir()
        os.chown(folder, 65534, 65534)
    before = set(folder.iterdir())
    gateway = GatewayProcess(tmp_path, {"EGRESS_DIR": str(folder)})
    gateway.start(wait=False)
    try:
        time.sleep(1.0)
        assert gateway.process.poll() is None
        assert set(folder.iterdir()) == before
    finally:
        assert gateway.stop() == -signal.SIGTERM


def test_a_killed_gateway_leaves_nothing_to_its_successor(tmp_path: Path) -> None:
    """Stale sockets are removed, their ids are lost, new ones work, other files stay."""
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


def test_two_gateways_never_serve_one_folder(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The second gateway waits, says so and changes nothing until the first has ended."""
    said: list[str] = []

    def is_said(times: int) -> bool:
        said.append(capfd.readouterr().err)
        return "".join(said).count("egress.waiting") == times

    with GatewayProcess(tmp_path) as first:
        directory = first.open()[1]
        second = GatewayProcess(tmp_path)
        second.start(wait=False)
        third = GatewayProcess(tmp_path)
        third.start(wait=False)
        try:
            until(lambda: is_said(2))
            assert first.answers()
            assert directory.exists()
            # A waiting gateway ends at a signal.
            assert third.stop() != 0
            assert first.stop() == 0
            until(second.answers)
        finally:
            third.kill()
            assert second.stop() == 0


def test_a_stopped_gateway_leaves_a_clean_folder(tmp_path: Path) -> None:
    """Open tunnels end, sockets and folders are removed, the exit code is 0."""
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
    """A path longer than a unix socket's address works on both sides."""
    deep = tmp_path.joinpath(*["a-rather-long-folder-name"] * 6)
    with GatewayProcess(deep) as gateway:
        assert refusal(gateway.open(EgressPolicy())[1], "10.0.0.1:80") == "private"


def test_a_missing_gateway_is_unavailable(tmp_path: Path) -> None:
    """A missing folder and a folder without a socket give different errors."""
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(EgressUnavailableError, match="does not answer"):
            asyncio.run(EgressClient(folder).ping())


def test_a_thousand_idle_tunnels_are_cheap(tmp_path: Path) -> None:
    """The memory of the gateway stays under 100 MB in total."""
    assert idle_megabytes(tmp_path, 1000)[1] < 100


def test_the_gateway_loads_neither_docker_nor_a_database() -> None:
    """The gateway has no code for the Docker socket, for Redis or for the store."""
    program = "import sys, worker.egress.gateway.server as _; print('\\n'.join(sys.modules))"
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


def test_opening_waits_for_a_gateway_that_restarts(tmp_path: Path) -> None:
    """A scan that starts while the gateway restarts still gets its endpoint."""

    async def act(gateway: GatewayProcess) -> str:
        egress = GatewayEgress(gateway.client, EgressPolicy())
        request = FetchRequest(scan="s", attempt=1, url="https://example.com/")
        opening = asyncio.create_task(egress.open(request, deadline_s=30))
        await asyncio.sleep(0.5)
        assert not opening.done()
        await asyncio.to_thread(gateway.start, wait=False)
        return (await opening).directory

    with GatewayProcess(tmp_path) as gateway:
        gateway.kill()
        directory = asyncio.run(act(gateway))
        assert (Path(directory) / "egress.sock").is_socket()
