"""The compose file, started for real with separate names, port, folder and volumes."""

import os
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from operator import getitem
from pathlib import Path

import httpx
import pytest

from tests.support.images import BASE_IMAGE, SOCKET_PATH, docker_client
from tests.support.pages import PageServer, html

ROOT = Path(__file__).resolve().parents[2]
_BUILD_S = 280
_START_S = 90
_SCAN_S = 60


@pytest.fixture
def folder() -> Iterator[Path]:
    """Yield a folder that the services' user may enter, and remove the containers' files in it."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="safeurl-compose-") as name:
        path = Path(name)
        path.chmod(0o711)
        yield path
        with docker_client() as client:
            client.containers.run(
                BASE_IMAGE,
                ["rm", "-rf", "/folder/egress"],
                volumes={name: {"bind": "/folder", "mode": "rw"}},
                network_mode="none",
                remove=True,
            )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _run(*command: str, timeout_s: float, environ: Mapping[str, str]) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def _tool() -> list[str]:
    """Return the command that starts compose: the client's plugin before version 1."""
    plugin = ["docker", "compose"]
    found = subprocess.run([*plugin, "version"], check=False, capture_output=True, timeout=30)
    return ["docker-compose"] if found.returncode else plugin


@contextmanager
def _compose(project: str, environ: Mapping[str, str]) -> Iterator[None]:
    """Start the services, and remove them with their volumes."""
    try:
        _do(project, environ, "up", "-d")
        yield
    finally:
        _do(project, environ, "down", "--volumes", "-t", "30")


def _do(project: str, environ: Mapping[str, str], *words: str) -> None:
    command = [*_tool(), "-p", project, "-f", "docker/compose.yaml", *words]
    _run(*command, timeout_s=_START_S, environ=environ)


def _answer(
    client: httpx.Client, path: str, timeout_s: float, *keys: str, last: Collection[str]
) -> str:
    """Return the value at the keys once it is a final one; TimeoutError names the last value."""
    deadline, seen = time.monotonic() + timeout_s, "no answer"
    while time.monotonic() < deadline:
        try:
            document = client.get(path).json()
        except httpx.TransportError as error:
            seen = str(error)
        else:
            seen = reduce(getitem, keys, document)
        if seen in last:
            return seen
        time.sleep(0.3)
    raise TimeoutError(f"{path}: {seen}")


#: Asks the gateway who is there, and prints the answer or what kept it from asking.
_PING = """
import socket, sys
control = socket.socket(socket.AF_UNIX)
control.settimeout(10)
try:
    control.connect("/folder/egress/control.sock")
    control.sendall(b'{"op": "ping"}' + bytes([10]))
    print(control.makefile().readline())
except OSError as error:
    print(type(error).__name__)
"""
#: Who asks, and what must be in the answer. The last but one has the group that may enter the
#: folder, without being the worker's user.
_ASKING = {
    "safeurl-worker:safeurl-egress": "pong",
    "safeurl-gateway:safeurl-egress": "pong",
    "65534:65534": "PermissionError",
    "safeurl-api:safeurl": "PermissionError",
    "65534:safeurl-egress": "forbidden",
    "safeurl-api:safeurl-egress": "forbidden",
}


def _as_user(user: str, folder: Path, *command: str) -> str:
    """Run a command of the service image as this user, with the folder; return its output."""
    with docker_client() as client:
        said: bytes = client.containers.run(
            "safeurl-service:latest",
            list(command[1:]),
            entrypoint=command[0],
            user=user,
            working_dir="/",
            volumes={str(folder): {"bind": "/folder", "mode": "rw"}},
            network_mode="none",
            remove=True,
        )
    return said.decode()


def _users(project: str) -> dict[str, str]:
    """Return the user id of each service on the host."""
    users: dict[str, str] = {}
    with docker_client() as client:
        for each in client.containers.list():
            if each.labels.get("com.docker.compose.project") == project:
                _, uid = each.top(ps_args="-eo pid,uid")["Processes"][-1]
                users[each.labels["com.docker.compose.service"]] = uid
    return users


def _make_old(project: str) -> None:
    """Give the state volume back to nobody, with the modes of older releases."""
    change = "chown -R 65534:65534 /state && chmod -R u=rwX,go= /state && chmod 0700 /state"
    with docker_client() as client:
        client.containers.run(
            BASE_IMAGE,
            ["sh", "-c", change],
            volumes={f"{project}_state": {"bind": "/state", "mode": "rw"}},
            network_mode="none",
            remove=True,
        )


def _scan(client: httpx.Client, url: str) -> str:
    """Have a page scanned; return the scan's id once it is completed."""
    scan = str(client.post("/api/scans", json={"url": url}).json()["id"])
    final = {"COMPLETED", "FAILED", "TIMED_OUT", "CANCELLED"}
    state = _answer(client, f"/api/scans/{scan}", _SCAN_S, "state", last=final)
    assert state == "COMPLETED", client.get(f"/api/scans/{scan}").text
    return scan


def test_the_services_of_compose_scan_a_page(folder: Path) -> None:
    """A scan that is posted to the published port completes, and afterwards nothing is left.

    Each service has its own user, and the gateway serves only the worker's. The data of an older
    release in the state volume is kept by an upgrade.
    """
    project, port = f"safeurl-test-{secrets.token_hex(4)}", _free_port()
    environ = {
        "DOCKER_HOST": f"unix://{SOCKET_PATH}",
        "DOCKER_SOCKET_PATH": SOCKET_PATH,
        "DOCKER_GID": str(Path(SOCKET_PATH).stat().st_gid),
        "REDIS_API_PASSWORD": "a#b $c'd\"" + secrets.token_hex(12),
        "REDIS_WORKER_PASSWORD": secrets.token_hex(12),
        "EGRESS_DIR": str(folder / "egress"),
        "EGRESS_ALLOW_CIDRS": "127.0.0.1/32",
        "API_PORT": str(port),
    }
    _run("bash", "docker/setup.sh", "--service", timeout_s=_BUILD_S, environ=environ)
    with (
        PageServer({"/": lambda _: html("<title>Hello</title><p>Words</p>")}) as pages,
        _compose(project, environ),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        _answer(client, "/health", _START_S, "health", "status", last=("healthy", "degraded"))
        rebound = client.get("/health", headers={"host": "rebound.example"})
        assert rebound.status_code == httpx.codes.MISDIRECTED_REQUEST
        before = _scan(client, pages.url("/"))
        users = _users(project)
        assert (users["gateway"], users["worker"], users["api"]) == ("65521", "65522", "65523")
        said = {who: _as_user(who, folder, "python3", "-c", _PING) for who in _ASKING}
        assert {who: word for who, word in _ASKING.items() if word not in said[who]} == {}, said
        _do(project, environ, "down", "-t", "30")
        _make_old(project)
        (folder / "egress").chmod(0o711)
        os.chown(folder / "egress", 65534, 65534)
        _do(project, environ, "up", "-d")
        _answer(client, "/health", _START_S, "health", "status", last=("healthy", "degraded"))
        after = _scan(client, pages.url("/"))
        assert client.get(f"/api/scans/{before}").json()["state"] == "COMPLETED"
        assert before != after
    with docker_client() as engine:
        assert [c for c in engine.containers.list(all=True) if project in c.name] == []
        assert [v for v in engine.volumes.list() if project in v.name] == []
