"""Clients that send or read little or nothing do not exclude other clients."""

import contextlib
import json
import os
import resource
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from api.server import GRACE_S
from safeurl.settings import Settings
from tests.support.live_api import api_process, client_of
from tests.support.slow_clients import WAYS, connect, crowd, rest_of, served

_CROWD = 1100
_MANY = tuple(f"127.0.0.{number}" for number in range(2, 102))
_TIMEOUT_S = 20.0
#: Clients do not fill the log, whatever they do.
_MAX_LOG = 5_000

Api = tuple["subprocess.Popen[str]", str]


@contextlib.contextmanager
def _api(folder: Path, *prefix: str, **settings: str) -> Iterator[Api]:
    names = {str(field.alias) for field in Settings.model_fields.values()}
    kept = {name: value for name, value in os.environ.items() if name not in names}
    environ = {**kept, "SAFEURL_STATE_DIR": str(folder), "API_PORT": "0", **settings}
    with api_process(environ, prefix) as (process, address):
        yield process, address
        process.terminate()
        _, log = process.communicate(timeout=GRACE_S + _TIMEOUT_S)
        assert process.returncode == 0
        assert "Traceback" not in log
        assert len(log) < _MAX_LOG, log


def _await_database(address: str) -> None:
    """Wait until the schema is there: a lack of files while it is made ends the server."""
    deadline = time.monotonic() + _TIMEOUT_S
    with client_of(address) as client:
        while client.get("/api/scans").status_code != 200:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture(scope="module")
def unlimited_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Serve with such long time limits that only the caps are effective in these tests."""
    folder = tmp_path_factory.mktemp("unlimited_api")
    with _api(folder, API_CLIENT_TIMEOUT_SECONDS="300") as running:
        yield running


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Serve with a time limit of one second."""
    with _api(tmp_path_factory.mktemp("hasty"), API_CLIENT_TIMEOUT_SECONDS="1") as running:
        yield running


def _open_connections(process: "subprocess.Popen[str]") -> int:
    found = psutil.Process(process.pid).net_connections(kind="tcp")
    return sum(each.status != psutil.CONN_LISTEN for each in found)


def _wait_until_closed(process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while left := _open_connections(process):
        assert time.monotonic() < deadline, f"{left} connections are still open."
        time.sleep(0.05)


@pytest.mark.parametrize("way", WAYS)
def test_a_crowd_from_one_address_keeps_nobody_out(unlimited_api: Api, way: str) -> None:
    """Also clients with the same address are served, as all clients on loopback have."""
    process, address = unlimited_api
    with crowd(address, _CROWD, WAYS[way]):
        assert [served(address) for _ in range(5)] == [200] * 5
        assert _open_connections(process) <= 64


@pytest.mark.parametrize("way", ["half a head", "half a body", "kept alive"])
def test_a_crowd_from_many_addresses_keeps_nobody_out(unlimited_api: Api, way: str) -> None:
    """Each is below its own cap; over the total, the oldest of the largest clients goes."""
    process, address = unlimited_api
    with crowd(address, 2 * _CROWD, WAYS[way], _MANY):
        assert [served(address) for _ in range(5)] == [200] * 5
        assert _open_connections(process) <= 1024 + 64


def test_a_client_that_was_there_first_is_not_dropped(unlimited_api: Api) -> None:
    """A crowd loses its own connections: a client with one connection is the last to lose it."""
    _, address = unlimited_api
    with connect(address) as honest:
        honest.sendall(b"GET /ui/app.js HTTP/1.1\r\nHost: localhost\r\n")
        with crowd(address, 2 * _CROWD, WAYS["half a head"], _MANY):
            honest.sendall(b"Connection: close\r\n\r\n")
            assert rest_of(honest).startswith(b"HTTP/1.1 200 ")


def test_few_file_descriptors_lower_the_cap(tmp_path: Path) -> None:
    """The server always has enough descriptors to accept a client."""
    with _api(tmp_path, "prlimit", "--nofile=400:400", API_CLIENT_TIMEOUT_SECONDS="300") as (
        process,
        address,
    ):
        with crowd(address, _CROWD, WAYS["half a head"], _MANY):
            assert served(address) == 200
        process.terminate()
        _, log = process.communicate(timeout=_TIMEOUT_S)
    assert "api_files_limited: only 144 connections" in log
    assert "api_cannot_accept" not in log
    assert "Traceback" not in log


def test_the_server_takes_all_file_descriptors_it_may(tmp_path: Path) -> None:
    """A shell's soft limit is made for programs with few connections."""
    with _api(tmp_path, "prlimit", "--nofile=512:4096") as (process, address):
        # It prints its address before it handles signals, and gets SIGTERM at the end.
        assert served(address) == 200
        assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (4096, 4096)


def test_without_file_descriptors_the_log_is_not_flooded(tmp_path: Path) -> None:
    """The failure is logged once, and connections are accepted again when there are descriptors."""
    with _api(tmp_path) as (process, address):
        _await_database(address)
        taken = psutil.Process(process.pid).num_fds()
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (taken + 8, hard))
        with crowd(address, 100, WAYS["half a head"], _MANY), connect(address) as first:
            deadline = time.monotonic() + _TIMEOUT_S
            while psutil.Process(process.pid).num_fds() < taken + 8:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            first.sendall(b"x")
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (hard, hard))
        # The crowd had our address: until its last connection is seen to have ended, ours counts
        # among them.
        while _open_connections(process):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert served(address) == 200
        process.terminate()
        _, log = process.communicate(timeout=_TIMEOUT_S)
    assert log.count("api_cannot_accept") == 1
    assert "Traceback" not in log


_CODES = {
    "half a line": 408,
    "half a head": 408,
    "half a body": 408,
    "half a chunk": 408,
    "no body": 408,
    "an early answer": 415,
    "kept alive": 200,
    "garbage after a request": 200,
}


@pytest.mark.parametrize("way", WAYS)
def test_what_does_not_come_in_time_is_answered_and_closed(hasty: Api, way: str) -> None:
    """The response is 408 in the API's own format, if there was none before; then it is closed."""
    process, address = hasty
    with crowd(address, 3, WAYS[way]) as clients:
        _wait_until_closed(process)
        answer = rest_of(clients[0])
    if way in _CODES:
        assert answer.startswith(b"HTTP/1.1 %d " % _CODES[way])
    if _CODES.get(way) == 408:
        head, _, body = answer.partition(b"\r\n\r\n")
        document = json.loads(body)
        assert (document["code"], document["status"]) == ("request_timeout", 408)
        assert b"connection: close" in head
        assert b"x-content-type-options: nosniff" in head


@pytest.mark.parametrize("way", ["half a head", "half a body"])
def test_a_byte_from_time_to_time_is_no_progress(hasty: Api, way: str) -> None:
    """A head and a body have a total time limit, even if their bytes arrive steadily."""
    _, address = hasty
    with connect(address) as client:
        client.sendall(WAYS[way])
        deadline = time.monotonic() + _TIMEOUT_S
        client.settimeout(0.2)  # the pace of the bytes
        answer = b""
        while not answer:
            assert time.monotonic() < deadline
            client.sendall(b" ")
            with contextlib.suppress(TimeoutError):
                answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_an_answer_that_is_read_slowly_is_cut_off(hasty: Api) -> None:
    """A client that reads a little from time to time does not keep its connection."""
    process, address = hasty
    with connect(address, small=True) as client:
        client.sendall(WAYS["never read"])
        deadline = time.monotonic() + 2 * _TIMEOUT_S
        while _open_connections(process):
            assert time.monotonic() < deadline
            with contextlib.suppress(ConnectionResetError):
                client.recv(1)
            time.sleep(0.1)  # the pace of the reader


def test_a_request_that_was_cut_off_is_not_acted_upon(hasty: Api) -> None:
    """The part may be a valid document, but the client was informed that it came too late."""
    _, address = hasty
    with connect(address) as late, connect(address) as gone:
        late.sendall(WAYS["half a body"])
        gone.sendall(WAYS["half a body"])
        gone.shutdown(socket.SHUT_WR)
        assert rest_of(late).startswith(b"HTTP/1.1 408 ")
        assert rest_of(gone) == b""
    with client_of(address) as client:
        assert client.get("/api/scans").json()["scans"] == []


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(b"X-A: " + b"a" * 100_000 + b"\r\n", 431, id="long"),
        pytest.param(b"X-A: a\r\n" * 3_000, 431, id="many"),
        pytest.param(b"X-A: " + b"a" * 17_000, 431, id="unfinished"),
        pytest.param(b"X-A : a\r\n", 400, id="space"),
        pytest.param(b"Host: localhost\r\n", 400, id="two hosts"),
    ],
)
def test_a_head_that_is_refused(unlimited_api: Api, head: bytes, status: int) -> None:
    """A head has at most 16 KiB, also if it comes in one packet; the refusal has our format."""
    _, address = unlimited_api
    with connect(address) as client:
        end = b"\r\n" if head.endswith(b"\n") else b""
        client.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + head + end)
        answer = rest_of(client)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == status


def test_the_server_stops_in_time_whoever_is_connected(tmp_path: Path) -> None:
    """Clients that wait forever do not keep the process running."""
    with _api(tmp_path, API_CLIENT_TIMEOUT_SECONDS="300") as (process, address):
        assert served(address) == 200
        with contextlib.ExitStack() as stack:
            for number, payload in enumerate(WAYS.values(), 2):
                stack.enter_context(crowd(address, 5, payload, (f"127.0.0.{number}",)))
            assert served(address) == 200
            process.terminate()
            assert process.wait(timeout=GRACE_S + 10) == 0
