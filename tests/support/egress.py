"""The egress gateway as a separate process, and the requests that a sandbox would send."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from safeurl.errors import EgressUnavailableError
from safeurl.model.egress_evidence import EgressEvidence
from safeurl.ports.egress import EgressEndpoint
from safeurl.settings import Settings
from worker.egress.client.client import EgressClient
from worker.egress.protocol import SOCKET_NAME, Caps, EgressPolicy
from worker.egress.unix_socket import short_path

_START_S = 20.0
_STOP_S = 20.0
_ANSWER_S = 30.0
#: How long tests wait for an event.
TIMEOUT_S = 15.0
_PROGRAM = (
    "import os; from safeurl.settings.core import Settings; "
    "from worker.egress.gateway.server import run_gateway; run_gateway(Settings.read(os.environ))"
)

#: The policy for tests on loopback.
LOOPBACK = EgressPolicy(allow_cidrs=("127.0.0.0/8", "::1/128"))


def lab_policy(**caps: int) -> EgressPolicy:
    """Return the policy for loopback with other caps."""
    return EgressPolicy(allow_cidrs=LOOPBACK.allow_cidrs, caps=Caps(**caps))


@dataclass
class GatewayProcess:
    """`run_gateway` in a child process; a context manager."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    #: The command that starts it, such as `nsenter`; it must exec the gateway's process.
    prefix: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        """Store the folder; nothing runs yet."""
        self.environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(sys.path),
            "SAFEURL_STATE_DIR": str(self.folder),
            **self.settings,
        }
        self.egress_dir = Settings.read(self.environ).gateway_dir
        self.client = EgressClient(self.egress_dir)

    def start(self, *, wait: bool = True) -> None:
        """Start the gateway and wait until it responds."""
        self.process = subprocess.Popen(
            [*self.prefix, sys.executable, "-c", _PROGRAM], env=self.environ
        )
        deadline = time.monotonic() + _START_S
        while wait and not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the gateway did not start")
            time.sleep(0.02)

    def answers(self) -> bool:
        """Return True if this very process responds."""
        try:
            return asyncio.run(self.client.ping()).pid == self.process.pid
        except EgressUnavailableError:
            return False

    def kill(self) -> None:
        """Kill it, and wait until its other processes have ended."""
        processes = self.processes() if self.process.poll() is None else []
        self.process.kill()
        self.process.wait(_STOP_S)
        _, left = psutil.wait_procs(processes, _STOP_S)
        if left:
            raise RuntimeError(f"processes survived the gateway: {left}")

    def stop(self) -> int:
        """Stop it in order and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_STOP_S)

    def memory_bytes(self) -> int:
        """Return the memory of its processes; shared memory is counted once."""
        return sum(int(each.memory_full_info().pss) for each in self.processes())

    def cpu_s(self) -> float:
        """Return the CPU time that its processes have used."""
        times = [each.cpu_times() for each in self.processes()]
        return float(sum(each.user + each.system for each in times))

    def processes(self) -> list[psutil.Process]:
        """Return the gateway's process, the spawner, and one process for each socket."""
        process = psutil.Process(self.process.pid)
        return [process, *process.children(recursive=True)]

    def open(self, policy: EgressPolicy = LOOPBACK, deadline_s: float = 60.0) -> tuple[str, Path]:
        """Make a socket, bind it, and return its id and folder."""
        made = self.create()
        self.bind(made.id, policy, deadline_s)
        return made.id, Path(made.directory)

    def create(self) -> EgressEndpoint:
        """Make a socket and do not bind it."""
        return asyncio.run(self.client.create())

    def bind(self, socket_id: str, policy: EgressPolicy, deadline_s: float = 60.0) -> None:
        """Bind the socket to attempt 1 of the scan `s`."""
        asyncio.run(
            self.client.bind(socket_id, scan="s", attempt=1, deadline_s=deadline_s, policy=policy)
        )

    def evidence(self, socket_id: str) -> EgressEvidence:
        """Return the evidence so far."""
        return asyncio.run(self.client.collect(socket_id))

    def close(self, socket_id: str) -> EgressEvidence:
        """Remove the socket and return its evidence."""
        return asyncio.run(self.client.close(socket_id))

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Stop the gateway; kill it if it does not stop."""
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@dataclass(frozen=True, slots=True)
class Response:
    """A response of the gateway: status, lower-case header names, and the bytes after its head."""

    status: int
    headers: dict[str, str]
    rest: bytes = b""

    @property
    def reason(self) -> str:
        """The rule or the outcome of the response; empty if there is none."""
        return self.headers.get("x-safeurl-rule", self.headers.get("x-safeurl-outcome", ""))


def connect(directory: Path) -> socket.socket:
    """Connect to a sandbox's socket as a sandbox does."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_ANSWER_S)
    try:
        with short_path(directory, SOCKET_NAME) as path:
            connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def connect_head(where: str) -> bytes:
    """Return the head of a CONNECT."""
    return f"CONNECT {where} HTTP/1.1\r\nHost: {where}\r\n\r\n".encode()


def read_head(connection: socket.socket) -> Response:
    """Read the head of a response, byte by byte, so that the tunnel's bytes remain unread."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            raise ConnectionError(f"the gateway closed after {data!r}")
        data += byte
    return parse_answer(data)


def parse_answer(data: bytes) -> Response:
    """Parse a complete response."""
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    return Response(int(first.split(" ")[1]), {k.lower(): v for k, _, v in pairs}, rest)


def read_all(connection: socket.socket) -> bytes:
    """Read until the other side closes."""
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


def has_ended(connection: socket.socket) -> bool:
    """Wait for the other side; return True if it closed, False if it sent a byte."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def tunnel(directory: Path, where: str) -> tuple[socket.socket, Response]:
    """Request a tunnel; the socket is the tunnel if the response's status is 200."""
    connection = connect(directory)
    try:
        connection.sendall(connect_head(where))
        return connection, read_head(connection)
    except OSError:
        connection.close()
        raise


def ask(directory: Path, request: bytes) -> Response:
    """Send a request, read the complete response, and close."""
    with connect(directory) as connection:
        connection.sendall(request)
        return parse_answer(read_all(connection))


def refusal(directory: Path, where: str) -> str:
    """Request a tunnel; return the rule or the outcome, empty if it was opened."""
    connection, answer = tunnel(directory, where)
    connection.close()
    return answer.reason


def where_of(server: socket.socket) -> str:
    """Return the address of a listening socket, as CONNECT names it."""
    return f"127.0.0.1:{server.getsockname()[1]}"


def accept(server: socket.socket) -> socket.socket:
    """Accept the connection of the gateway."""
    accepted = server.accept()[0]
    accepted.settimeout(TIMEOUT_S)
    return accepted


def until(is_so: Callable[[], bool]) -> None:
    """Return as soon as the condition is true."""
    deadline = time.monotonic() + TIMEOUT_S
    while not is_so():
        if time.monotonic() > deadline:
            raise TimeoutError("it never came to be")
        time.sleep(0.02)
